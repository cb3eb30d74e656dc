"""The one module that knows all of the others: `measure` runs a system, `score` judges its run.

`evaluate` does both. They are two steps because the process that runs a submitted model must not be able
to read the qrels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

from evaluations import provenance
from evaluations.artefacts import RUN, write_arrays, write_per_query, write_run
from evaluations.datasets import Dataset
from evaluations.errors import EvaluationError
from evaluations.latency.baseline import Baseline
from evaluations.latency.operating_points import PointTimer, PointTimes
from evaluations.latency.session import Settings
from evaluations.latency.track import measure_latency
from evaluations.progress import Progress
from evaluations.protocol import (
    DEPTH,
    Fact,
    Protocol,
    latency_protocol,
    retrieval_protocol,
    sparsity_protocol,
)
from evaluations.report import Report, read_report
from evaluations.retrieval.measures import PRIMARY, Measure, default_measures
from evaluations.retrieval.scoring import (
    Effectiveness,
    complete_depth,
    cut,
    effectiveness,
    without_self_hits,
)
from evaluations.sparsity import sweeps
from evaluations.sparsity.sweeps import Curve
from evaluations.systems import Run, Runtime, System, SystemSpec, check_tracks, kind_of, needs_corpus
from evaluations.systems.abilities import ByDataset, Composite, Timed
from evaluations.systems.trec import read_run
from evaluations.tracks import LATENCY, Findings

BUILT_TRACKS = ("retrieval", "sparsity")


@dataclass(frozen=True)
class Request:
    """One evaluation: a pinned system, the folder for what it writes, the tracks, and where it runs.

    `sweeps` belong to the sparsity track; for latency alone their points are timed and nothing else.
    `checkpoints`: where those are that their values call by a name.
    `command` is what a person types to repeat it. `baseline`: what the latency track's references took on
    this host when it was well.
    """

    spec: SystemSpec
    out: Path
    tracks: tuple[str, ...] = BUILT_TRACKS
    runtime: Runtime = field(default_factory=Runtime)
    command: str = ""
    latency: Settings = field(default_factory=Settings)
    baseline: Baseline | None = None
    sweeps: tuple[Curve, ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)


def evaluate(
    request: Request,
    dataset: Dataset,
    measures: Sequence[Measure] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measures and, if the retrieval track is asked for, scores. Raises EvaluationError, EvaluationFailed."""
    progress = progress or Progress()
    if "retrieval" in request.tracks:
        _require_qrels(dataset)
    elif request.sweeps and "sparsity" in request.tracks:
        raise EvaluationError("SWEEP-TRACK", "sweeps are judged with the retrieval track; ask for it too")
    report = measure(request, dataset, progress)
    return score(dataset, request.out, measures, progress) if "retrieval" in request.tracks else report


def measure(request: Request, dataset: Dataset, progress: Progress | None = None) -> Report:
    """Runs the system over the judged queries; writes `run.trec.gz` and a report without effectiveness.

    For the latency track alone the queries are timed one by one, and there is no run.
    """
    progress = progress or Progress()
    kind = kind_of(request.spec.kind)
    check_tracks(request.spec, request.tracks)
    if request.sweeps and not {"sparsity", LATENCY}.intersection(request.tracks):
        problem = "sweeps belong to the sparsity track, and are timed by latency; ask for one of them too"
        raise EvaluationError("SWEEP-TRACK", problem)
    _require_corpus(request, dataset)
    started = provenance.now()
    for warning in dataset.warnings:
        progress.note(f"warning: {warning}")
    with progress.stage("loading"):
        spec = kind.pin(request.spec, allow_path=True)
        system = kind.load(spec, request.runtime)
    _index(system, dataset, progress)
    run = _retrieved(system, dataset, progress) if set(request.tracks) - {"latency"} else None
    warnings = run.warnings if run else ()
    for warning in warnings:
        progress.note(f"warning: {warning}")
    request.out.mkdir(parents=True, exist_ok=True)
    findings: dict[str, Findings] = {}
    if "sparsity" in request.tracks:
        with progress.stage("profiling"):
            findings["sparsity"] = system.sparsity()
    if "latency" in request.tracks:
        findings["latency"] = _latency(system, dataset, request, progress)
    if request.sweeps:
        track = "sparsity" if "sparsity" in findings else LATENCY
        findings[track] |= _swept(request, spec, system, dataset, progress, findings.get(LATENCY))
    report = Report(
        system={**_described(spec, system), "warnings": list(warnings)},
        dataset=_dataset_facts(dataset),
        protocol={track: _protocol(track, dataset, found).to_dict() for track, found in findings.items()},
        provenance=_provenance(started, request.command, progress, system.provenance()),
        tracks=findings,
    )
    with progress.stage("writing"):
        if run is not None:
            write_run(request.out, run, kind.name)
        for found in findings.values():
            write_arrays(request.out, found.arrays)
        report.write(request.out)
    return report


def score(
    dataset: Dataset, out: Path, measures: Sequence[Measure] | None = None, progress: Progress | None = None
) -> Report:
    """Judges the run in `out`, and writes its effectiveness into the report and `per_query.parquet`.

    Everything is derived from the run and the dataset; of what `measure` reported, only what cannot be
    derived is kept.
    """
    progress = progress or Progress()
    qrels = _require_qrels(dataset)
    measured = read_report(out)
    chosen = default_measures() if measures is None else measures
    complete = _complete_depth(measured, dataset)

    def judge(name: str) -> Effectiveness:
        run = _final(read_run(out / name, qrels, may_be_empty=True), dataset)
        return effectiveness(run, qrels, chosen, complete_depth=complete)

    with progress.stage("scoring"):
        result = judge(RUN)
        others = {track: found for track, found in measured.tracks.items() if track != "retrieval"}
        judged = sweeps.judged(_curves(measured), result, judge, PRIMARY)
        if judged.curves:
            others["sparsity"] |= judged.findings
    tracks = {"retrieval": result.findings, **others}
    with progress.stage("writing"):
        write_per_query(out, result.per_query, sorted(qrels))
        judged.write(out)
        report = replace(
            measured,
            dataset=_dataset_facts(dataset),
            protocol={track: _protocol(track, dataset, found).to_dict() for track, found in tracks.items()},
            provenance=_scored(measured.provenance, progress),
            tracks=tracks,
        )
        report.write(out)
    return report


def _index(system: System, dataset: Dataset, progress: Progress) -> None:
    if isinstance(system, ByDataset):
        system.choose(dataset.name, dataset.document_ids)
    if isinstance(system, Composite):
        system.finish_lists(partial(_final, dataset=dataset))
    system.index(dataset.documents, progress)


def _retrieved(system: System, dataset: Dataset, progress: Progress) -> Run:
    """The run to depth `DEPTH`. One more is asked for where self-hits are then taken out."""
    return _final(system.retrieve(dataset.queries, _depth(dataset), progress), dataset)


def _depth(dataset: Dataset) -> int:
    return DEPTH + (dataset.self_hits == "remove")


def _latency(system: System, dataset: Dataset, request: Request, progress: Progress) -> Findings:
    assert isinstance(system, Timed)  # noqa: S101 - as the kind's tracks promise
    return measure_latency(system, dataset, request.latency, progress, request.baseline)


def _swept(
    request: Request,
    spec: SystemSpec,
    system: System,
    dataset: Dataset,
    progress: Progress,
    session: Findings | None,
) -> Findings:
    """The points of the curves that were asked for; each one's run is written, to be judged by `score`.

    `session`: what the latency track found of the unmodified system, where points are to be timed.
    """
    kind, is_judged = kind_of(spec.kind), "sparsity" in request.tracks
    if not is_judged and session and "rejected" in session.details:
        return Findings()  # such a session publishes nothing
    stopwatch = _stopwatch(request, system, dataset, progress, session) if session else None
    if not is_judged and isinstance(stopwatch, sweeps.Stopwatch):
        system.retrieve(dataset.queries, 1, progress)  # for the queries' vectors, which some points change
    bench = sweeps.Bench(
        subject=sweeps.LoadedSubject(
            system,
            spec,
            lambda other: kind.load(kind.pin(other, allow_path=True), request.runtime),
            request.checkpoints,
        ),
        dataset=dataset,
        searcher=sweeps.Searcher(request.runtime.threads, sweeps.device_of(system)),
        final=lambda run: _final(run, dataset),
        depth=_depth(dataset),
        out=request.out,
        progress=progress,
        stopwatch=stopwatch if isinstance(stopwatch, sweeps.Stopwatch) else None,
        untimed=stopwatch if isinstance(stopwatch, str) else None,
        is_judged=is_judged,
    )
    return sweeps.measured(request.sweeps, bench)


def _stopwatch(
    request: Request, system: System, dataset: Dataset, progress: Progress, session: Findings
) -> sweeps.Stopwatch | str:
    """What points are timed by; or why they are not.

    On processors, where the searches of changed vectors are, as whole queries, and beside a session of the
    unmodified system that passed its gates.
    """
    assert isinstance(system, Timed)  # noqa: S101 - as above
    if "rejected" in session.details:
        return f"the session of the unmodified system was rejected: {session.details['rejected']}"
    path = system.query_path(request.latency.k, request.latency.threads)
    if path.device != "cpu":
        return "points are timed on processors alone, and this system is on a card"
    if not path.is_whole:
        return "query vectors were made elsewhere: there are no whole queries to time"
    timer = PointTimer.of(path, dataset, request.latency, request.baseline, progress)
    return sweeps.Stopwatch(timer, path, PointTimes.of_session(session), dataset.queries)


def _curves(measured: Report) -> tuple[sweeps.FoundCurve, ...]:
    found = measured.tracks.get("sparsity")
    return sweeps.curves_of(found.details, str(measured.system["kind"])) if found else ()


def _final(run: Run, dataset: Dataset) -> Run:
    return cut(without_self_hits(run) if dataset.self_hits == "remove" else run)


def _require_corpus(request: Request, dataset: Dataset) -> None:
    if dataset.documents is not None:
        return
    if needs_corpus(request.spec):
        what = f"{request.spec.kind} needs one; such a dataset takes run files"
        raise EvaluationError("DATASET-CORPUS", f"{dataset.name} has no corpus, and {what}")
    if LATENCY in request.tracks:
        what = "latency needs one for its references; leave it out: --tracks retrieval,sparsity"
        raise EvaluationError("DATASET-CORPUS", f"{dataset.name} has no corpus, and {what}")


def _require_qrels(dataset: Dataset) -> Mapping[str, Mapping[str, int]]:
    if dataset.qrels is None:
        raise EvaluationError(
            "DATASET-QRELS", f"{dataset.name} has no qrels/{dataset.split}.tsv; scoring needs it"
        )
    return dataset.qrels


def _complete_depth(measured: Report, dataset: Dataset) -> int | None:
    """None where lists are as long as they can be: our own systems, and runs declared exhausted."""
    if not _may_be_cut(measured.system):
        return None
    return complete_depth(dataset.document_count, self_hits_removed=dataset.self_hits == "remove")


def _may_be_cut(system: Mapping[str, object]) -> bool:
    """A submitted run, or what is made of one, unless its author says that it was all there was."""
    members = system.get("members")
    if isinstance(members, list):
        return any(_may_be_cut(member) for member in members)
    options = system["options"]
    exhausted = isinstance(options, dict) and options.get("exhausted") is True
    return system["kind"] == "run" and not exhausted


def _protocol(track: str, dataset: Dataset, findings: Findings) -> Protocol:
    if track == "retrieval":
        return retrieval_protocol(dataset)
    if track == "latency":
        return latency_protocol(dataset, cast("Mapping[str, Fact]", findings.details["session"]))
    vocabulary = findings.details.get("vocabulary")
    return sparsity_protocol(dataset, vocabulary if isinstance(vocabulary, int) else None)


def _dataset_facts(dataset: Dataset) -> dict[str, object]:
    return {
        "name": dataset.name,
        "split": dataset.split,
        "documents": dataset.document_count,
        "queries": len(dataset.queries),
        "judged_queries": None if dataset.qrels is None else len(dataset.qrels),
        "self_hits": dataset.self_hits,
        "checksums": vars(dataset.checksums).copy(),
        "warnings": list(dataset.warnings),
    }


def _described(spec: SystemSpec, system: System) -> dict[str, object]:
    """The spec with what only the loaded system knows, each of its members likewise."""
    found = {**spec.to_dict(), "family": kind_of(spec.kind).family}
    if isinstance(system, Composite):
        pairs = zip(spec.members, system.members, strict=True)
        found["members"] = [_described(*pair) for pair in pairs]
    files = getattr(system, "files", None)
    return {**found, "files": dict(files)} if files else found


def _provenance(
    started: str, command: str, progress: Progress, runtime: Mapping[str, str | int | None]
) -> dict[str, object]:
    return {
        "sparseboard": provenance.sparseboard_version(),
        "command": command,
        "started": started,
        "finished": provenance.now(),
        "durations_s": dict(progress.durations_s),
        "runtime": dict(runtime),
        "host": provenance.host(),
        "libraries": provenance.libraries(),
    }


def _scored(before: Mapping[str, object], progress: Progress) -> dict[str, object]:
    durations = cast("Mapping[str, float]", before["durations_s"])
    return {
        **before,
        "finished": provenance.now(),
        "durations_s": {**durations, **progress.durations_s},
    }
