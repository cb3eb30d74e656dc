"""Making each point of the curves that were asked for: changed, encoded where it must be, searched, written.

Curves that change vectors come first: they encode nothing, and the models are still as submitted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evaluations.artefacts import write_run
from evaluations.datasets import Dataset, Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.sparsity.sweeps.base import SEED, VERSION, Altered, ChangedVectors, Facts, Sides
from evaluations.sparsity.sweeps.figures import Figures, figures
from evaluations.sparsity.sweeps.grammar import Curve
from evaluations.sparsity.sweeps.points import FoundCurve, Point, details, run_name
from evaluations.sparsity.sweeps.subject import LoadedSubject, encoded_by
from evaluations.sparsity.sweeps.timing import Stopwatch, Timing
from evaluations.sparsity.sweeps.vectors import Encoded, Searcher, require_something
from evaluations.systems.base import Run, System
from evaluations.tracks import Findings

# What can go wrong at one point and leave the others as they are: the libraries' words for a value, a shape
# or a size that does not fit. Anything else is a bug, and ends the evaluation.
_GAPS = (EvaluationError, ArithmeticError, ValueError, IndexError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Bench:
    """What every point needs. `final` makes of what was found to `depth` the run that is judged.

    `stopwatch` None: points are not timed; `untimed` says why, where they were to be. Not `is_judged`: points
    are made to be timed, and have neither a run nor figures of their sparsity.
    """

    subject: LoadedSubject
    dataset: Dataset
    searcher: Searcher
    final: Callable[[Run], Run]
    depth: int
    out: Path
    progress: Progress
    stopwatch: Stopwatch | None = None
    untimed: str | None = None
    is_judged: bool = True

    def timing(self, of: Callable[[Stopwatch], Timing]) -> Timing:
        if self.stopwatch is not None:
            return of(self.stopwatch)
        return Timing({}, self.untimed)

    def run(self, encoded: Encoded) -> Run | None:
        require_something(encoded)
        if not self.is_judged:
            return None
        return self.final(self.searcher.run(encoded, self.depth, self.progress))

    def figures(self, encoded: Encoded, facts: Facts) -> Figures:
        return figures(encoded, facts, self.searcher) if self.is_judged else {}


def measured(curves: Sequence[Curve], bench: Bench) -> Findings:
    """Every curve with its points, in the order of being asked; each point's run is in its file."""
    if bench.stopwatch is None and not bench.is_judged:
        return Findings(details=details([_not_timed(curve, str(bench.untimed)) for curve in curves]))
    in_turn = sorted(curves, key=lambda curve: curve.variant.vectors is None)
    total, found = sum(len(curve.values) for curve in curves), {}
    for done, curve in _counted(in_turn):
        with bench.progress.stage("sweeping"):
            points = [_unmodified(curve, bench)]
        for number, value in enumerate(curve.values, start=1):
            bench.progress.note(f"point {done + number} of {total}: {curve.name}={value}")
            points.append(_point(curve, value, bench))
        found[curve.name] = FoundCurve(curve, tuple(points))
    return Findings(details=details([found[curve.name] for curve in curves]))


def _not_timed(curve: Curve, why: str) -> FoundCurve:
    """Points that were to be timed alone, and are not made."""
    values = (None, *curve.values)
    return FoundCurve(curve, tuple(Point(value, reason=why, code="SWEEP-UNTIMED") for value in values))


def _counted(curves: Sequence[Curve]) -> Iterator[tuple[int, Curve]]:
    done = 0
    for curve in curves:
        yield done, curve
        done += len(curve.values)


def _unmodified(curve: Curve, bench: Bench) -> Point:
    """Its run is the evaluation's own. Where the sweep does not fit this very model, it says so."""
    try:
        encoded = bench.subject.encoded  # taken here, before a model encodes again
        facts = curve.sweep.unmodified(bench.subject)
        metrics = bench.figures(encoded, facts)
        timing = bench.timing(lambda watch: watch.unmodified(bench.subject.system))
    except _GAPS as error:
        return Point(None, reason=_reason(error), code=_code(error))
    return Point(None, facts.axis, facts.level, metrics | timing.figures, untimed=timing.untimed)


def _point(curve: Curve, value: str, bench: Bench) -> Point:
    started = time.perf_counter()
    try:
        run, point = _changed(curve, value, bench)
    except _GAPS as error:
        bench.progress.note(f"no point at {curve.name}={value}: {_reason(error)}")
        seconds = time.perf_counter() - started
        return Point(value, reason=_reason(error), code=_code(error), seconds=seconds)
    if point.untimed is not None:
        bench.progress.note(f"no times at {curve.name}={value}: {point.untimed}")
    if run is not None:
        with bench.progress.stage("writing"):
            write_run(bench.out, run, curve.name, run_name(curve, point))
    return replace(point, seconds=time.perf_counter() - started)


def _changed(curve: Curve, value: str, bench: Bench) -> tuple[Run | None, Point]:
    variant = curve.variant
    if variant.vectors is not None:
        with bench.progress.stage("sweeping"):
            changed = variant.vectors(bench.subject.encoded, value)
        return _made(value, changed, bench, lambda watch: watch.of_vectors(changed.encoded))
    assert variant.model is not None  # noqa: S101 - a variant changes the one or the other
    with variant.model(bench.subject, value) as altered, _renamed(altered, curve, value, bench):
        encoded = _encoded(altered.system, variant.sides, bench)
        found = ChangedVectors(encoded, altered.facts())
        of = partial(_of_model, altered.system, encoded, variant.sides)
        return _made(value, found, bench, of)


def _of_model(system: System, encoded: Encoded, sides: Sides, watch: Stopwatch) -> Timing:
    return watch.of_model(system, encoded, sides)


def _made(
    value: str, changed: ChangedVectors, bench: Bench, of: Callable[[Stopwatch], Timing]
) -> tuple[Run | None, Point]:
    """The run, where it is judged, and the point of what was encoded."""
    facts, run = changed.facts, bench.run(changed.encoded)
    metrics, timing = bench.figures(changed.encoded, facts), bench.timing(of)
    return run, Point(value, facts.axis, facts.level, metrics | timing.figures, untimed=timing.untimed)


@contextmanager
def _renamed(altered: Altered, curve: Curve, value: str, bench: Bench) -> Iterator[None]:
    """A model changed in place must not find the unmodified one's vectors in a cache, nor leave its own."""
    if altered.system is not bench.subject.system:
        yield
        return
    system: Any = altered.system
    before = system.encoder
    change = f"{curve.name}={altered.made_of or value}"
    changed = before.modified(f"sweep {change}, seed {SEED}, version {VERSION}")
    system.encoder = replace(changed, identity=None, cache=None) if altered.looks_on else changed
    try:
        yield
    finally:
        system.encoder = before


def _encoded(system: System, sides: Sides, bench: Bench) -> Encoded:
    """All texts, or one side's with the other's vectors as they were."""
    documents, queries, progress = bench.dataset.documents, bench.dataset.queries, bench.progress
    assert documents is not None  # noqa: S101 - kinds that encode need a corpus
    if sides == "queries":  # a system answers only once it has a corpus: one document serves
        documents = Documents(documents.ids[:1], documents.texts[:1])
    system.index(documents, progress)
    system.retrieve(queries, 1, progress)
    found = encoded_by(system)
    if sides == "both":
        return found
    whole = bench.subject.encoded
    if sides == "queries":
        return _joined(whole, found)
    return _joined(found, whole)


def _joined(of_documents: Encoded, of_queries: Encoded) -> Encoded:
    return Encoded(
        of_documents.form,
        of_documents.document_ids,
        of_documents.documents,
        of_queries.query_ids,
        of_queries.queries,
        of_documents.mean,
    )


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, EvaluationError) else "SWEEP-FAILED"


def _reason(error: BaseException) -> str:
    if isinstance(error, EvaluationError):
        return error.message
    return f"{type(error).__name__}: {error}"[:300]
