"""The texts that describe a system: bounded, stripped, fit for every database, and never markup."""

import re
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from leaderboard.submissions.refusals import Problems

if TYPE_CHECKING:
    from leaderboard.submissions.validation import SubmissionRequest

LINES = {"name": 100, "organisation": 120, "licence": 60, "url": 200, "note": 300}
PARAGRAPHS = {"description": 2000, "training_data": 2000}
LABELS = {
    "name": "The system's name",
    "organisation": "The organisation",
    "licence": "The licence",
    "url": "The link",
    "note": "The note",
    "description": "The description",
    "training_data": "The training data",
}
# Control characters, halves of surrogate pairs, and marks that turn the direction of what follows on a page.
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile(r"[\t\n\r\u2028\u2029]")
_check_url = URLValidator(schemes=["http", "https"])


def check(request: "SubmissionRequest", problems: Problems) -> dict[str, str]:
    """All texts of a request, stripped."""
    written = {name: getattr(request, name).strip() for name in (*LINES, *PARAGRAPHS)}
    for name, text in written.items():
        for problem in _problems(name, text):
            problems.add(name, f"{LABELS[name]} {problem}")
    return written


def storable(text: str) -> str:
    """The text without what a database may refuse, for look-ups by what a person sent."""
    return _UNFIT.sub("", text)


def problem_of(text: str, limit: int) -> str:
    """What is wrong with a text of several lines; empty where nothing is."""
    if len(text) > limit:
        return f"has {len(text):,} characters; at most {limit:,} fit."
    return "has control characters in it; type it again by hand." if _UNFIT.search(text) else ""


def _problems(name: str, text: str) -> list[str]:
    limit = LINES.get(name) or PARAGRAPHS[name]
    found = []
    if name == "name" and not text:
        found.append("is missing; it is what the leaderboard shows.")
    if len(text) > limit:
        found.append(f"has {len(text):,} characters; at most {limit:,} fit.")
    if _UNFIT.search(text) or (name in LINES and _BREAKS.search(text)):
        found.append("has control characters or line breaks in it; type it again by hand.")
    if name == "url" and text and not _is_web_address(text):
        found.append("is no web address; write one such as https://example.org/model.")
    return found


def _is_web_address(text: str) -> bool:
    try:
        _check_url(text)
    except ValidationError:
        return False
    return True
