"""What `rerank` and `fusion` have in common: systems made of others, each loaded and run for real."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.search.found import Found
from evaluations.systems.abilities import ByDataset, PathPart, QueryPath, Timed
from evaluations.systems.base import RankedList, Run, Runtime, System, SystemSpec
from evaluations.systems.timing import joined_path
from evaluations.tracks import Findings, not_applicable

# What adds up over the parts of a composite. Everything else is a part's own: see `members` of the findings.
TOTALS = ("parameters", "active_parameters", "index_bytes")
# Of that, what readers of a board look for.
OF_A_PART = (
    "query_active_dims_mean",
    "document_active_dims_mean",
    "query_sparsity_ratio",
    "document_sparsity_ratio",
    "flops",
    "postings_per_query_mean",
    "dimensions",
    "bytes_per_vector",
)
OWN = "belongs to the parts of this system, each of which has its own; the report lists them as members"


class Parts:
    """The members of a system, indexed and searched one after the other."""

    def __init__(self, specs: Sequence[SystemSpec], runtime: Runtime) -> None:
        from evaluations.systems import kind_of  # here, since that module names the kinds that use this one

        self.specs = specs
        self.systems: Sequence[System] = [kind_of(spec.kind).load(spec, runtime) for spec in specs]
        self._finish: Callable[[Run], Run] = lambda run: run
        self._query_ids: Mapping[str, str] = {}

    def finish_with(self, finish: Callable[[Run], Run]) -> None:
        self._finish = finish

    def choose(self, dataset: str, document_ids: Collection[str] | None) -> None:
        for system in self.systems:
            if isinstance(system, ByDataset):
                system.choose(dataset, document_ids)

    def index(self, documents: Documents | None, progress: Progress) -> None:
        for system in self.systems:
            system.index(documents, progress)

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> list[Run]:
        """Each member's lists as a run of it alone would have them."""
        return [self._finish(system.retrieve(queries, depth, progress)) for system in self.systems]

    def name_queries(self, queries: Mapping[str, str]) -> None:
        """Whose self-hits are taken out of the members' lists; of equal texts the first one's."""
        self._query_ids = {text: query_id for query_id, text in reversed(list(queries.items()))}

    def query_path(
        self,
        depth: int,
        threads: int,
        find: Callable[[str, Sequence[RankedList]], Found],
        *,
        own: tuple[PathPart, ...] = (),
        device: str = "cpu",
    ) -> QueryPath:
        """One query's way through all members. `find` takes its text, and of each the first `depth`.

        Members are asked for one more, since a self-hit may then be taken out.
        """
        members = [system for system in self.systems if isinstance(system, Timed)]
        assert len(members) == len(self.systems)  # noqa: S101 - as `tracks_of` promises
        paths = [member.query_path(depth + 1, threads) for member in members]

        def search(text: str, encoded: Sequence[Any]) -> Found:
            steps = zip(members, paths, encoded, strict=True)
            found = [_ranked(path.search(vector), member.document_ids) for member, path, vector in steps]
            return find(text, [self._finished(text, ranked, depth) for ranked in found])

        return joined_path(paths, search, own=own, device=device)

    def _finished(self, text: str, ranked: RankedList, depth: int) -> RankedList:
        """As an evaluation finishes this query's list of a member, cut."""
        query_id = self._query_ids.get(text, "")
        whole = self._finish(Run({query_id: ranked})).lists[query_id]
        return RankedList(whole.document_ids[:depth], whole.scores[:depth])

    def sparsity(self) -> list[Findings]:
        return [system.sparsity() for system in self.systems]

    def provenance(self) -> dict[str, str | int | None]:
        """A line a member: `bm25: device cpu, precision fp32`; no location, which may be a path."""
        return {
            f"member_{place}": f"{spec.kind}: {_in_a_line(system.provenance())}"
            for place, (spec, system) in enumerate(zip(self.specs, self.systems, strict=True), start=1)
        }


def found_of(ranked: RankedList, places: Mapping[str, int]) -> Found:
    """`places`: of all documents by their ids."""
    rows = [places[document_id] for document_id in ranked.document_ids]
    return Found(np.array(rows, dtype=np.int64), ranked.scores)


def _ranked(found: Found, document_ids: Sequence[str]) -> RankedList:
    return RankedList([document_ids[row] for row in found.rows.tolist()], found.scores)


def warnings_of(runs: Sequence[Run], specs: Sequence[SystemSpec]) -> tuple[str, ...]:
    return tuple(
        f"member {place} ({spec.kind}): {warning}"
        for place, (run, spec) in enumerate(zip(runs, specs, strict=True), start=1)
        for warning in run.warnings
    )


def combined(parts: Mapping[str, Findings]) -> Findings:
    """The findings of a whole: what adds up is added; `members` has the parts' own.

    `parts`: a name a person knows each part by, such as `member 1 (bm25)`, to its findings.
    """
    totals = {name: _total(name, parts) for name in TOTALS}
    added = Findings(
        {name: value for name, (value, _) in totals.items()},
        {name: reason for name, (value, reason) in totals.items() if value is None},
        {"members": [_described(*part) for part in parts.items()]},
    )
    return added | not_applicable(OWN, *OF_A_PART)


def pin_members(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:
    from evaluations.systems import kind_of  # here, as above

    pinned = (kind_of(member.kind).pin(member, allow_path=allow_path) for member in spec.members)
    return replace(spec, members=tuple(pinned))


def inspect_members(spec: SystemSpec) -> dict[str, object]:
    from evaluations.systems import kind_of  # here, as above

    return {
        "members": [{**member.to_dict(), **kind_of(member.kind).inspect(member)} for member in spec.members]
    }


def _total(name: str, parts: Mapping[str, Findings]) -> tuple[float | int | None, str]:
    """The sum; None, and whose number is missing, where a part has none."""
    values = []
    for part, found in parts.items():
        value = found.metrics.get(name)
        if value is None:
            return None, f"{part}: {found.reasons.get(name, 'does not say')}"
        values.append(value)
    return sum(values), ""


def _described(part: str, found: Findings) -> dict[str, object]:
    return {
        "part": part,
        "metrics": dict(found.metrics),
        "reasons": dict(found.reasons),
        "details": dict(found.details),
    }


def _in_a_line(facts: Mapping[str, str | int | None]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if value is not None
    )
