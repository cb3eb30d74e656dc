"""One attempt, from a claim to a report: fetch, write, measure without the qrels, score without the model."""

import json
import logging
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage

from evaluations.artefacts import RUN
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.latency import references
from evaluations.report import REPORT, Report, read_report
from evaluations.sparsity.pooling import DIMENSION_COUNTS
from evaluations.sparsity.sweeps import parse_sweeps, run_names
from evaluations.systems import kind_of
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, Revision, RevisionFile
from leaderboard.submissions import checkpoints
from leaderboard.submissions.lifecycle import Claim
from leaderboard.submissions.models import Submission, Track
from leaderboard.submissions.sweeps import workload

from . import calibration, evaluator, host, prepare, reports, workspace
from .evaluator import Limits, Watcher
from .needs import needs_of
from .prepare import FETCHED, WANTED
from .sandbox import Step

logger = logging.getLogger(__name__)

SYSTEM = "system.json"
UPLOAD = "submitted-file"
UNPACKED = "submitted"
WAITING = "waiting for the host"  # a stage, as people see it: a session has the host to itself


@dataclass(frozen=True)
class Job:
    """A claim with the rows it is about, and the folder of this attempt."""

    claim: Claim
    submission: Submission
    dataset: Dataset
    folder: Path

    @property
    def revision(self) -> Revision:
        return self.submission.revision

    @property
    def is_latency(self) -> bool:
        """Claimed alone: it needs the host to itself, and no qrels."""
        return Track.LATENCY in self.claim.tracks

    @property
    def sweeps(self) -> list[str]:
        """Curves of operating points: made and judged with sparsity, made again and timed with latency."""
        is_swept = Track.SPARSITY in self.claim.tracks or self.is_latency
        return list(self.submission.sweeps) if is_swept else []

    @property
    def checkpoints(self) -> dict[str, Part]:
        """What its curves average the model with, by the names in their values."""
        return checkpoints.parts_of([self.submission]).get(self.submission.pk, {}) if self.sweeps else {}

    @property
    def blind(self) -> Path:
        return workspace.blind_folder(self.dataset.pk)

    @property
    def measured(self) -> Path:
        return self.folder / "measured"

    @property
    def scored(self) -> Path:
        return self.folder / "scored"


def load_job(claim: Claim, folder: Path) -> Job:
    submissions = Submission.objects.select_related("revision__system")
    return Job(
        claim=claim,
        submission=submissions.get(pk=claim.submission_id),
        dataset=Dataset.objects.get(pk=claim.dataset_id),
        folder=folder,
    )


def run(job: Job, watcher: Watcher) -> Report:
    """Evaluate, and leave the artefacts in `job.scored`.

    Raises EvaluationError (the submitter's), EvaluationFailed (ours), HostUnfit of a latency session, and
    what `watcher.check` raises.
    """
    watcher.check()
    watcher.progress("loading", None)
    asked = wanted(job)
    _write_json(job.folder / WANTED, asked)
    evaluator.run(fetch_step(job), job.folder, watcher, _limits(job))
    watcher.progress(WAITING, None)
    with host.turn(alone=job.is_latency, check=watcher.check):
        watcher.progress("loading", None)
        if not prepare.is_written(asked):
            evaluator.run(write_step(job), job.folder, watcher, _limits(job))
        _write_json(job.folder / SYSTEM, system(job))
        _measure(job, watcher)
    return reports.publishable(read_report(job.scored), job.claim, job.submission, job.dataset)


def _limits(job: Job) -> Limits:
    return Limits.of_settings(workload(job.revision.kind, job.sweeps))


def _measure(job: Job, watcher: Watcher) -> None:
    if job.is_latency:
        _measure_latency(job, watcher)
        return
    limits = _limits(job)  # from here on: what it waited for others is not its own time
    watcher.progress("loading", None)
    evaluator.run(measure_step(job), job.folder, watcher, limits)
    _accept(job)
    watcher.progress("scoring", None)
    evaluator.run(score_step(job), job.folder, watcher, limits)


def _measure_latency(job: Job, watcher: Watcher) -> None:
    watcher.progress("calibrating", None)
    needs = needs_of(job.revision.parts, job.submission.device)
    profile = calibration.write_baseline(job.folder, needs, watcher)
    watcher.progress("loading", None)
    evaluator.run(measure_step(job), job.folder, watcher, _limits(job))
    _accept(job)
    report = read_report(job.scored)
    calibration.check_host(reports.host_of(report), profile)
    _tell_operator(job, report)


def _tell_operator(job: Job, report: Report) -> None:
    """A row without its reference says only that; why the model is not here is the operator's to mend."""
    problem = _prepared(job)["encoder"]["problem"]
    findings = report.tracks.get(Track.LATENCY.value)
    matched = str(findings.details.get("matched_reference", "")) if findings else ""
    if problem and references.ENCODER in matched:
        logger.warning(
            "submission %s has no matched ratio, since %s could not be had: %s; let this worker reach the hub"
            " once, or put the model's files into %s",
            job.submission.pk,
            references.ENCODER_MODEL,
            problem,
            Path(settings.MODELS) / references.ENCODER_MODEL,
        )


def wanted(job: Job) -> dict[str, Any]:
    """What is to be prepared: the dataset, each part of the system, each checkpoint, and for a latency
    session the reference encoder. Files that were submitted are copied now.
    """
    dataset, parts = job.dataset, job.revision.parts
    others = enumerate(job.checkpoints.items(), start=len(parts))
    return {
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "split": dataset.split,
            "self_hits": dataset.self_hits,
            "blind": str(job.blind),
        },
        "parts": [_wanted(job, part, place) for place, part in enumerate(parts)],
        "checkpoints": {name: _wanted(job, part, place) for place, (name, part) in others},
        "encoder": job.is_latency,
    }


def _wanted(job: Job, part: Part, place: int) -> dict[str, Any]:
    """A model to fetch, an archive to unpack, or neither."""
    if kind_of(part.kind).takes == "file":
        _copied(_run_file(job, part), _copy_of(job, place))
    archive = _archive(job, part, place)
    is_fetched = archive is None and kind_of(part.kind).has_model(part.location)
    model = {"location": part.location, "revision": part.version, "files": dict(part.files)}
    return {"model": model if is_fetched else None, "archive": archive}


def _archive(job: Job, part: Part, place: int) -> dict[str, Any] | None:
    """A copy of the archive that was submitted, if one was."""
    upload = RevisionFile.objects.filter(revision=part.revision, dataset=None).first()
    if upload is None:
        return None
    names = [member.dataset.name for member in job.submission.benchmark.members()]
    return {
        "path": str(_copied(upload, _copy_of(job, place))),
        "folder": str(job.folder / f"{UNPACKED}-{place}"),
        "kind": part.kind,
        "files": dict(part.files),
        "kept_tops": names,
    }


def system(job: Job) -> dict[str, Any]:
    """The system as the evaluator reads it: the files of all its parts are local by now."""
    own, *members = [_local(job, part, place) for place, part in enumerate(job.revision.parts)]
    return {**own, "members": members} if members else own


def _local(job: Job, part: Part, place: int) -> dict[str, Any]:
    kind = kind_of(part.kind)
    location = revision = None
    if kind.has_model(part.location):
        location = _folder(job, place)
    elif kind.takes == "folder":
        location = _unpacked_vectors(job, place)
    elif kind.takes == "file":
        # Its checksum goes with the copy, and the evaluator compares.
        location, revision = str(_copy_of(job, place)), f"sha256:{_run_file(job, part).sha256[:16]}"
    spec = {"kind": part.kind, "location": location, "revision": revision}
    return {**spec, "options": dict(part.options)}


def _unpacked_vectors(job: Job, place: int) -> str:
    """The sub-folder of this dataset, whatever the evaluator calls the dataset; else the folder itself."""
    folder = Path(_folder(job, place))
    inner = folder / job.dataset.name
    return str(inner if inner.is_dir() else folder)


def _folder(job: Job, place: int) -> str:
    return str(_prepared(job)["folders"][place])


def _prepared(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.folder / FETCHED).read_text(encoding="utf-8"))
    return found


def _run_file(job: Job, part: Part) -> RevisionFile:
    """The upload for this dataset."""
    upload = RevisionFile.objects.filter(revision=part.revision, dataset=job.dataset).first()
    if upload is None or not upload.file.name:
        raise EvaluationError(
            "RUN-MISSING", f"no file was submitted for {job.dataset.name}; submit one for it"
        )
    return upload


def _copy_of(job: Job, place: int) -> Path:
    return job.folder / f"{UPLOAD}-{place}"


def _copied(upload: RevisionFile, path: Path) -> Path:
    with default_storage.open(str(upload.file.name)) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path


def fetch_step(job: Job) -> Step:
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    arguments = ["workers.prepare", "fetch", str(job.folder)]
    return Step("fetch", arguments, trusted=True, network=True, variables=models)


def write_step(job: Job) -> Step:
    return Step("write", ["workers.prepare", "write", str(job.folder)], trusted=True)


def measure_step(job: Job) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "measure", "--system", str(job.folder / SYSTEM)]
    arguments += [
        "--dataset",
        str(job.blind),
        "--tracks",
        ",".join(track.value for track in job.claim.tracks),
    ]
    arguments += ["--device", "cuda" if job.submission.device == "gpu" else "cpu"]
    for curve in job.sweeps:
        arguments += ["--sweep", curve]
    for name in job.checkpoints:
        arguments += ["--checkpoint", f"{name}={_prepared(job)['checkpoints'][name]}"]
    variables = {}
    if settings.VECTOR_CACHE_MB > 0:
        arguments += ["--cache", str(settings.VECTOR_CACHE), "--cache-mb", str(settings.VECTOR_CACHE_MB)]
    if job.is_latency:
        arguments += ["--baseline", str(job.folder / calibration.BASELINE)]
        variables = _encoder_variable(job)
    return Step("measure", [*arguments, "--out", str(job.measured), "--json-progress"], variables=variables)


def _encoder_variable(job: Job) -> dict[str, str]:
    """The one folder of the host's models that a submitted system's process is told of."""
    folder = _prepared(job)["encoder"]["folder"]
    return {references.ENCODER_VARIABLE: folder} if folder else {}


def score_step(job: Job) -> Step:
    dataset = job.dataset
    arguments = [settings.EVALUATOR_MODULE, "score", "--dataset", dataset.source, "--split", dataset.split]
    arguments += ["--self-hits", dataset.self_hits, "--out", str(job.scored), "--json-progress"]
    return Step("score", arguments, trusted=True, stage="scoring")


def _accept(job: Job) -> None:
    """Take over what scoring needs of what the model's process wrote, and nothing else.

    A blind folder that does not fit the catalogue is dropped, so that the next attempt makes it anew.
    """
    job.scored.mkdir()
    for name in (REPORT,) if job.is_latency else (REPORT, RUN):
        _copy_regular_file(job.measured / name, job.scored / name)
    if (job.measured / DIMENSION_COUNTS).exists():
        _copy_regular_file(job.measured / DIMENSION_COUNTS, job.scored / DIMENSION_COUNTS)
    if not job.is_latency:
        _accept_points(job)
    try:
        reports.check_dataset(read_report(job.scored), job.dataset, qrels=False)
    except EvaluationFailed:
        shutil.rmtree(job.blind, ignore_errors=True)
        raise


def _accept_points(job: Job) -> None:
    """The points' runs, under the names that were asked for; a gap has none."""
    whole = job.measured.resolve()
    for name in run_names(parse_sweeps(job.sweeps, job.revision.kind)):
        source, target = job.measured / name, job.scored / name
        if not source.exists():
            continue
        if source.parent.resolve() != (whole / name).parent:
            raise EvaluationFailed("EVALUATOR-OUTPUT", f"the evaluator left a link in place of {name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_regular_file(source, target)


def _copy_regular_file(source: Path, target: Path) -> None:
    """A link in its place could name a file of ours that nobody is to read."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise EvaluationFailed(
            "EVALUATOR-OUTPUT", f"the evaluator left no {source.name}: {error.strerror}"
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EvaluationFailed("EVALUATOR-OUTPUT", f"the evaluator left a {source.name} that is no file")
        with target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
