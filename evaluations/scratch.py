"""Files for what does not fit the memory. Without a name, so that they are gone with the process, whatever
ends that."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from evaluations.errors import EvaluationFailed

_BUFFER = 1 << 20


def scratch_file(folder: Path | None = None) -> IO[bytes]:
    """In `folder`, or where temporary files go (`TMPDIR`). Raises OSError: see `written`."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(buffering=_BUFFER, dir=folder)


@contextmanager
def written(what: str) -> Iterator[None]:
    """Raises EvaluationFailed `SCRATCH` where a file for `what` cannot be made or written."""
    try:
        yield
    except OSError as error:
        raise unwritable(what, error) from error


def unwritable(what: str, error: OSError) -> EvaluationFailed:
    problem = f"{what} cannot be kept in a temporary file: {error.strerror or error}"
    hint = "make room where temporary files go, or let TMPDIR name a folder on a larger disk"
    return EvaluationFailed("SCRATCH", f"{problem}; {hint}")
