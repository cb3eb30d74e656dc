"""Model ids from the web: `ORG/NAME` and nothing else, pinned to an exact version when submitted."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from evaluations.errors import EvaluationError
from evaluations.hub_ids import is_hub_id
from evaluations.systems import Kind
from evaluations.systems.base import Value
from leaderboard.submissions import options
from leaderboard.submissions.refusals import Problems, Refused

if TYPE_CHECKING:
    from evaluations.systems.locations import Pinned

EXAMPLE = "sentence-transformers/all-MiniLM-L6-v2"
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,79}")
_ABOUT_THE_REVISION = {"MODEL-REVISION", "REVISION-MISMATCH"}


def check(location: str, revision: str, problems: Problems) -> None:
    """That both are names. No path of this machine and no address is ever looked at."""
    if not location.strip():
        problems.add(
            "location",
            f"The model id is missing; write it as the hub does, such as {EXAMPLE}, or upload an archive.",
        )
    elif not is_hub_id(location.strip()):
        problem = f"{location[:80]!r} is no model id. Write ORG/NAME as the hub does, such as {EXAMPLE};"
        problems.add("location", f"{problem} paths and web addresses are not taken.")
    if revision.strip() and not _REVISION.fullmatch(revision.strip()):
        problem = f"{revision[:80]!r} is no revision. Write a branch, a tag or a commit of the model,"
        problems.add("revision", f"{problem} or leave it empty for the newest.")


def pin(location: str, revision: str, kind: Kind | None, values: Mapping[str, Value]) -> "Pinned":
    """The exact version and the hashes of its files. `kind`: as which it will be loaded, with these options;
    None: only read.

    Raises Refused where the model is unknown, not safe to load, or does not fit the options, and where the
    hub cannot be asked.
    """
    from evaluations.inspection import inspect_model
    from evaluations.systems import locations  # here, since most requests need no client of the hub

    try:
        pinned = locations.pinned(location, revision or None)
        found = inspect_model(location, pinned.revision, kind=kind.name) if kind else None
    except EvaluationError as error:
        field = "revision" if error.code in _ABOUT_THE_REVISION else "location"
        raise Refused({field: [f"{error.message}."]}) from error
    if found and not found.safe:
        raise Refused({"location": [f"{location} is not taken: {found.why}."]})
    problems = Problems()
    if found and kind:
        options.check_form(kind, found.form, values, problems)
    if problems:
        raise problems.refusal()
    return pinned
