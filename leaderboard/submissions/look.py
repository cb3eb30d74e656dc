"""Looking at a model or an archive before it is submitted: what it is, if it would be taken, what to fill in.

The code is that of the command `inspect`. Nothing is stored, no weights are read of a model on the hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files.base import File

from evaluations.errors import EvaluationError
from evaluations.inspection import Inspection, inspect_archive, inspect_model
from evaluations.systems import KINDS, WEB_KINDS
from leaderboard.submissions import hub, options
from leaderboard.submissions.options import option_field
from leaderboard.submissions.packed import limits
from leaderboard.submissions.refusals import Problems, Refused
from leaderboard.submissions.runs import on_disk, shown
from leaderboard.submissions.texts import LINES
from leaderboard.submissions.validation import SubmissionRequest

HUB_PAGE = "https://huggingface.co"
_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip", ".gz")


@dataclass(frozen=True)
class Look:
    """`problem`: why nothing could be seen. `filled`: form fields that were empty, and what goes there.

    `refusal`: of options as they are typed and filled in, for what was found.
    """

    found: Inspection | None = None
    problem: str = ""
    filled: Mapping[str, str] = field(default_factory=dict)
    refusal: Refused | None = None

    @property
    def title(self) -> str:
        """Of the kind, for a person."""
        kind = KINDS.get(self.found.kind or "") if self.found else None
        return kind.title if kind else ""

    @property
    def switched_to(self) -> str:
        """The kind that the form should show."""
        kind = self.found.kind if self.found else None
        return kind if kind and kind in WEB_KINDS else ""


def look(request: SubmissionRequest) -> Look:
    """At the archive, or at the model that is named."""
    location, revision = request.location.strip(), request.revision.strip()
    if request.archive is not None and not location:
        return _at_archive(request, request.archive)
    problems = Problems()
    hub.check(location, revision, problems)
    if problems:
        return Look(problem=str(problems.refusal()))
    try:
        found = inspect_model(location, revision or None)
    except EvaluationError as error:
        return Look(problem=f"{error.message}.")
    return _look(request, found, location.rpartition("/")[2], f"{HUB_PAGE}/{location}")


def _at_archive(request: SubmissionRequest, archive: "File[Any]") -> Look:
    path, _kept = on_disk(archive)
    found = inspect_archive(path, shown=shown(archive), limits=limits())
    return _look(request, found, _stem(archive), "")


def _look(request: SubmissionRequest, found: Inspection, name: str, page: str) -> Look:
    return Look(found, filled=_filled(request, found, name, page), refusal=_refusal(request, found))


def _refusal(request: SubmissionRequest, found: Inspection) -> Refused | None:
    """By the code that checks a submission. Options of another kind than was found are not asked."""
    kind, problems = WEB_KINDS.get(found.kind or ""), Problems()
    if kind is None or not found.safe:
        return None
    known = {name: value for name, value in {**found.options, **request.options}.items() if kind.option(name)}
    checked = options.checked(kind, known, located=True, device=request.device)
    for name, message in checked.problems:
        problems.add(options.field_of(name), message)
    if not problems:
        options.check_form(kind, found.form, checked.values, problems)
    return problems.refusal() if problems else None


def _stem(archive: "File[Any]") -> str:
    name = Path(archive.name or "").name
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def _filled(request: SubmissionRequest, found: Inspection, name: str, page: str) -> dict[str, str]:
    """Only what was left empty; nothing that was typed is changed."""
    known = {"name": name, "licence": found.card.licence or "", "url": page}
    filled = {
        key: text[: LINES[key]] for key, text in known.items() if text and not getattr(request, key).strip()
    }
    kind = WEB_KINDS.get(found.kind or "")
    for option, value in found.options.items():
        if kind and kind.option(option) and option not in request.options:
            filled[option_field(option)] = str(value)
    return filled
