"""Model ids from the web: `ORG/NAME` and nothing else, pinned to an exact version when submitted."""

import re

from evaluations.errors import EvaluationError
from leaderboard.submissions.refusals import Problems, Refused

EXAMPLE = "sentence-transformers/all-MiniLM-L6-v2"
_MODEL_ID = re.compile(r"(?!.*(\.\.|--))[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,79}")
_ABOUT_THE_REVISION = {"MODEL-REVISION", "REVISION-MISMATCH"}


def check(location: str, revision: str, problems: Problems) -> None:
    """That both are names. No path of this machine and no address is ever looked at."""
    if not location.strip():
        problems.add("location", f"The model id is missing; write it as the hub does, such as {EXAMPLE}.")
    elif not _MODEL_ID.fullmatch(location.strip()):
        problem = f"{location[:80]!r} is no model id. Write ORG/NAME as the hub does, such as {EXAMPLE};"
        problems.add("location", f"{problem} paths and web addresses are not taken.")
    if revision.strip() and not _REVISION.fullmatch(revision.strip()):
        problem = f"{revision[:80]!r} is no revision. Write a branch, a tag or a commit of the model,"
        problems.add("revision", f"{problem} or leave it empty for the newest.")


def pin(location: str, revision: str) -> str:
    """The exact version. Raises Refused where the model is unknown or the hub cannot be asked."""
    from evaluations.systems import locations  # here, since most requests need no client of the hub

    try:
        return locations.pin(location, revision or None)
    except EvaluationError as error:
        field = "revision" if error.code in _ABOUT_THE_REVISION else "location"
        raise Refused({field: [f"{error.message}."]}) from error
