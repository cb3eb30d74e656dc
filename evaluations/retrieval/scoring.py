"""Effectiveness per query and its mean: the usual measures by judged.py, the others by ir-measures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures

from evaluations.protocol import DEPTH
from evaluations.retrieval import judged
from evaluations.retrieval.measures import Measure, cutoff
from evaluations.systems.base import RankedList, Run
from evaluations.tracks import Findings

Grades = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Effectiveness:
    """`per_query[measure name][query id]` for every judged query; `findings` has the means."""

    per_query: Mapping[str, Mapping[str, float]]
    findings: Findings


def effectiveness(
    run: Run, qrels: Grades, measures: Sequence[Measure], *, complete_depth: int | None = None
) -> Effectiveness:
    """Scores a run whose lists are in the one order and already cut.

    `complete_depth`: how many documents a list would need to be whole (at most `DEPTH`); given for a
    submitted run that may have been cut by its author, None where a system ranked everything. Measures that
    look deeper than the run goes are then None, with the reason.
    """
    too_deep = {} if complete_depth is None else _too_deep(measures, run.depth_max, complete_depth)
    applicable = [measure for measure in measures if str(measure) not in too_deep]
    per_query = per_query_values(run, qrels, applicable)
    means = {name: math.fsum(values.values()) / len(values) for name, values in per_query.items()}
    findings = Findings(
        {str(measure): means.get(str(measure)) for measure in measures},
        too_deep,
        {"run_depth_max": run.depth_max, "queries": query_counts(run, qrels)},
    )
    return Effectiveness(per_query, findings)


def per_query_values(run: Run, qrels: Grades, measures: Sequence[Measure]) -> dict[str, dict[str, float]]:
    """Measure name -> query id -> value, for all judged queries; one without results has 0.

    The usual measures are computed here (judged.py), others by ir-measures.
    """
    values = {str(measure): dict.fromkeys(sorted(qrels), 0.0) for measure in measures}
    answered = {
        query_id: ranked for query_id, ranked in run.lists.items() if len(ranked) and query_id in qrels
    }
    if not answered:
        return values
    ours = {str(measure): found for measure in measures if (found := judged.formula(measure))}
    if ours:
        given = judged.judgements(list(answered.values()), [qrels[query_id] for query_id in answered])
        for name, formula in ours.items():
            values[name].update(zip(answered, formula(given).tolist(), strict=True))
    _add_others(values, answered, qrels, [measure for measure in measures if str(measure) not in ours])
    return values


def _add_others(
    values: Mapping[str, dict[str, float]],
    answered: Mapping[str, RankedList],
    qrels: Grades,
    measures: Sequence[Measure],
) -> None:
    """ir-measures is given strictly falling whole numbers instead of scores, since its providers break ties
    in different ways, and no query without results, since Judged divides by their number."""
    if measures:
        places = {query_id: _places(ranked) for query_id, ranked in answered.items()}
        grades = {query_id: dict(qrels[query_id]) for query_id in answered}
        for value in ir_measures.evaluator(list(measures), grades).iter_calc(places):
            values[str(value.measure)][value.query_id] = float(value.value)


def query_counts(run: Run, qrels: Grades) -> dict[str, int]:
    answered = sum(query_id in qrels and len(ranked) > 0 for query_id, ranked in run.lists.items())
    return {"judged": len(qrels), "answered": answered}


def without_self_hits(run: Run) -> Run:
    """Each list without the document that has the query's own id."""
    return Run({query_id: _without(ranked, query_id) for query_id, ranked in run.lists.items()}, run.warnings)


def cut(run: Run, depth: int = DEPTH) -> Run:
    lists = {
        query_id: RankedList(ranked.document_ids[:depth], ranked.scores[:depth])
        for query_id, ranked in run.lists.items()
    }
    return Run(lists, run.warnings)


def complete_depth(document_count: int | None, *, self_hits_removed: bool) -> int:
    """The length of a list that lacks nothing: the depth, or the corpus where it is smaller."""
    if document_count is None:
        return DEPTH
    return min(DEPTH, document_count - self_hits_removed)


def _too_deep(measures: Sequence[Measure], run_depth: int, complete: int) -> dict[str, str]:
    if run_depth >= complete:
        return {}
    reason = f"looks deeper than the run's longest list, {run_depth} documents"
    return {str(measure): reason for measure in measures if cutoff(measure) > run_depth}


def _places(ranked: RankedList) -> dict[str, float]:
    return {document_id: float(len(ranked) - place) for place, document_id in enumerate(ranked.document_ids)}


def _without(ranked: RankedList, document_id: str) -> RankedList:
    if document_id not in ranked.document_ids:
        return ranked
    kept = [place for place, found in enumerate(ranked.document_ids) if found != document_id]
    return RankedList([ranked.document_ids[place] for place in kept], ranked.scores[kept])
