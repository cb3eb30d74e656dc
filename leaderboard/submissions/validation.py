"""From what a person sent to what will be run, or a refusal. Nothing is stored, no transaction is open."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.files.base import File

from evaluations.errors import EvaluationError
from evaluations.systems import KINDS, WEB_KINDS, Kind, SystemSpec
from evaluations.systems.base import Value
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions import hub, options, sweeps, texts, tracks
from leaderboard.submissions.members import MemberChoice, resolve
from leaderboard.submissions.models import Track
from leaderboard.submissions.packed import CheckedArchive, check_archive
from leaderboard.submissions.refusals import Problems
from leaderboard.submissions.runs import ARCHIVE, CheckedFile, check_runs, combined_version, file_field

DEVICES = ("cpu", "gpu")


@dataclass(frozen=True)
class SubmissionRequest:
    """As it came from form or REST, nothing checked yet. `files`: dataset name to an uploaded run.

    `members`: of a system made of others, in order.
    `sweeps`: each as the command line's `--sweep` takes it.
    """

    benchmark: str
    kind: str
    name: str
    location: str = ""
    revision: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    members: tuple[MemberChoice, ...] = ()
    files: Mapping[str, "File[Any]"] = field(default_factory=dict)
    archive: "File[Any] | None" = None
    device: str = "cpu"
    tracks: str = ""
    sweeps: tuple[str, ...] = ()
    organisation: str = ""
    licence: str = ""
    url: str = ""
    description: str = ""
    training_data: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What will be run: checked, pinned to an exact version, every option filled in, every file read."""

    kind: Kind
    location: str
    version: str
    options: Mapping[str, Value]
    hashes: Mapping[str, str]
    files: tuple[CheckedFile, ...] = ()
    members: tuple[Part, ...] = ()

    @property
    def content_hash(self) -> str:
        """Equal for what would be run equally, whatever it is called and whoever sent it."""
        own = Part(self.kind.name, self.location, self.version, self.options, self.hashes).content
        return _hash(own | _if_any("members", [member.content for member in self.members]))


@dataclass(frozen=True)
class ValidatedSubmission:
    """Found right, and not stored yet. `texts`: name, organisation, licence and the other texts, stripped."""

    benchmark: Benchmark
    datasets: tuple[Dataset, ...]
    plan: Plan
    texts: Mapping[str, str]
    device: str
    tracks: tuple[Track, ...]
    request_hash: str
    sweeps: tuple[str, ...] = ()

    @property
    def cells(self) -> list[tuple[Dataset, Track]]:
        """What is to be measured: each becomes an evaluation."""
        return [
            (dataset, track)
            for dataset in self.datasets
            for track in self.tracks
            if tracks.is_measured(track, dataset)
        ]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not stand in the way but should be known: ignored lines, datasets left out."""
        found = tuple(warning for file in self.plan.files for warning in file.warnings)
        there = {dataset.name for dataset in self.datasets}
        missing = [each.dataset.name for each in self.benchmark.members() if each.dataset.name not in there]
        if missing:
            sent = "no run" if self.plan.kind.takes == "file" else "nothing"
            found += (f"The average stays empty, since there is {sent} for {', '.join(missing)}.",)
        return found


def validate(request: SubmissionRequest) -> ValidatedSubmission:
    """Raises Refused with everything that is wrong; asks the hub only where all else is right."""
    problems = Problems()
    written = texts.check(request, problems)
    if request.device not in DEVICES:
        problems.add("device", f"There is no device {request.device[:20]!r}; choose cpu or gpu.")
    benchmark, kind = _benchmark(request, problems), _kind(request, problems)
    if benchmark is None or kind is None:
        raise problems.refusal()
    there = {member.dataset.name: member.dataset for member in benchmark.members()}
    values = _options(kind, request, problems)
    files = _files(kind, there, request, problems)
    members = resolve(kind, request.members, tuple(there.values()), problems)
    _check_corpora((kind, *(KINDS[member.kind] for member in members)), there, problems)
    known = members if len(members) == len(request.members) else ()  # else their places would be wrong
    wanted = tracks.chosen(_made_of(kind, known), request.tracks, problems)
    _check_location(kind, request, problems)
    if not problems:
        values = _completed(kind, values, members, problems)
    curves = sweeps.check(kind, request.sweeps, problems)
    if curves and Track.SPARSITY not in wanted:
        problems.add(sweeps.FIELD, "Operating points belong to the sparsity track; ask for it too.")
    archive = _archive(kind, values, there, request, problems)
    datasets = _datasets(there, files, archive)
    tracks.check_corpora(request.tracks, datasets, problems)
    if problems:
        raise problems.refusal()
    plan = replace(_plan(kind, values, files, archive, request), members=members)
    sent = _request_hash(request, written, values, plan.files, curves)
    return ValidatedSubmission(benchmark, datasets, plan, written, request.device, wanted, sent, curves)


def _datasets(
    members: Mapping[str, Dataset], files: tuple[CheckedFile, ...], archive: CheckedArchive | None
) -> tuple[Dataset, ...]:
    """Those that runs or vectors were sent for; a model is run on all."""
    of_files = tuple(file.dataset for file in files if file.dataset)
    return of_files or (archive.datasets if archive else ()) or tuple(members.values())


def _benchmark(request: SubmissionRequest, problems: Problems) -> Benchmark | None:
    found = Benchmark.objects.filter(name=texts.storable(request.benchmark)).first()
    if found is None:
        names = ", ".join(Benchmark.objects.values_list("name", flat=True)) or "none yet"
        problems.add("benchmark", f"There is no benchmark {request.benchmark[:60]!r}; there are: {names}.")
    return found


def _kind(request: SubmissionRequest, problems: Problems) -> Kind | None:
    found = WEB_KINDS.get(request.kind)
    there = ", ".join(WEB_KINDS)
    if request.kind in KINDS and found is None:
        problems.add(
            "kind", f"{KINDS[request.kind].title} is evaluated on the command line only; here: {there}."
        )
    elif found is None:
        problems.add("kind", f"There is no kind of system {request.kind[:60]!r}; there are: {there}.")
    return found


def _options(kind: Kind, request: SubmissionRequest, problems: Problems) -> dict[str, Value]:
    located = bool(request.location.strip())
    found = options.checked(kind, request.options, located=located, device=request.device)
    for name, message in found.problems:
        problems.add(options.field_of(name), message)
    return found.values


def _completed(
    kind: Kind, values: dict[str, Value], members: tuple[Part, ...], problems: Problems
) -> dict[str, Value]:
    """What options and members say together, such as as many weights as members."""
    try:
        return dict(kind.complete(replace(_made_of(kind, members), options=values)).options)
    except EvaluationError as error:
        problems.add(options.field_of(options.about(kind, error)), error.message)
        return values


def _made_of(kind: Kind, members: tuple[Part, ...]) -> SystemSpec:
    return SystemSpec(kind.name, members=tuple(SystemSpec(member.kind) for member in members))


def _files(
    kind: Kind, members: Mapping[str, Dataset], request: SubmissionRequest, problems: Problems
) -> tuple[CheckedFile, ...]:
    if kind.takes == "file":
        return check_runs(members, request.files, request.archive, problems)
    refusal = f"{kind.title} takes no runs; leave them out, or submit a run."
    for dataset in request.files:
        problems.add(file_field(dataset), refusal)
    return ()


def _archive(
    kind: Kind,
    values: Mapping[str, Value],
    members: Mapping[str, Dataset],
    request: SubmissionRequest,
    problems: Problems,
) -> CheckedArchive | None:
    """Unpacked and read last of all, and only where nothing else is wrong: it may be large."""
    if kind.takes == "folder" and not request.archive:
        problems.add(ARCHIVE, f"{kind.title} needs an archive: upload a zip or tar of the folder.")
    if not request.archive or kind.takes == "file":
        return None
    if kind.takes not in ("model", "folder"):
        problems.add(ARCHIVE, f"{kind.title} takes no archive; leave it out.")
    elif request.location.strip():
        problems.add(ARCHIVE, "Give a model id or an archive of the model, not both.")
    return None if problems else check_archive(kind, values, members, request.archive, problems)


def _check_corpora(kinds: Iterable[Kind], members: Mapping[str, Dataset], problems: Problems) -> None:
    """`kinds`: what was submitted, and what it is made of."""
    without = [name for name, dataset in members.items() if not dataset.has_corpus]
    needing = next((kind for kind in kinds if kind.needs_corpus), None)
    if needing and without:
        plural = "have" if len(without) > 1 else "has"
        reason = f"{needing.title} needs the documents, and {', '.join(without)} {plural} no corpus here."
        problems.add("benchmark", f"{reason} Submit run files to this benchmark, or choose another one.")
    if not members:
        problems.add("benchmark", "This benchmark has no dataset yet; choose another one.")


def _check_location(kind: Kind, request: SubmissionRequest, problems: Problems) -> None:
    named = bool(request.location.strip())
    if kind.takes == "model" and request.archive and not named:
        if request.revision.strip():
            problems.add("revision", "A revision is of a model id; leave it empty beside an archive.")
    elif kind.has_model(request.location.strip()):
        hub.check(request.location, request.revision, problems)
    elif kind.takes == "vocabulary" and request.revision.strip():
        problems.add("revision", "A revision needs a model that it is of; name the model, or leave it empty.")
    elif kind.takes != "vocabulary" and (request.location or request.revision):
        problems.add("location", f"{kind.title} takes no model; leave model and revision empty.")


def _plan(
    kind: Kind,
    values: Mapping[str, Value],
    files: tuple[CheckedFile, ...],
    archive: CheckedArchive | None,
    request: SubmissionRequest,
) -> Plan:
    if archive is not None:
        return Plan(kind, "", archive.version, values, archive.hashes, (archive.file,))
    if kind.has_model(request.location.strip()):
        location = request.location.strip()
        loaded_as = kind if kind.takes == "model" else None  # of a vocabulary, text files are read
        pinned = hub.pin(location, request.revision.strip(), loaded_as, values)
        return Plan(kind, location, pinned.revision, values, pinned.files)
    hashes = {f"{file.name}{file.suffix}": file.sha256 for file in files}
    return Plan(kind, "", combined_version(files) if files else "", values, hashes, files)


def _request_hash(
    request: SubmissionRequest,
    written: Mapping[str, str],
    values: Mapping[str, Value],
    files: tuple[CheckedFile, ...],
    curves: tuple[str, ...],
) -> str:
    """Of what was asked, not of what it was pinned to: the hub may move before a request is repeated."""
    asked = {name: getattr(request, name) for name in ("benchmark", "kind", "location", "revision", "device")}
    hashes = {file.name: file.sha256 for file in files}
    chosen = {"tracks": request.tracks} if request.tracks else {}
    whole = {**asked, **chosen, "texts": dict(written), "options": dict(values), "files": hashes}
    members = [member.to_json() for member in request.members]
    return _hash(whole | _if_any("members", members) | _if_any("sweeps", list(curves)))


def _if_any(name: str, asked: list[Any]) -> dict[str, Any]:
    """What was asked for before there was such a thing is hashed as it was then."""
    return {name: asked} if asked else {}


def _hash(content: Mapping[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
