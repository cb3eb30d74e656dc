"""The JSON of a submitted model: read within limits, walked without recursion, never a crash's cause."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems.folder_files import MAX_SETTINGS_BYTES

# What names in settings do to a file system; a full disk or a device that fails is not the submitter's.
_BY_NAMES = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ}


@contextmanager
def checking(code: str, what: str) -> Iterator[None]:
    """The edge of the checks: what no check foresaw in a submitted file is refused, as a crash would tell
    nobody what to mend. Raises EvaluationError with this code, naming `what` was checked.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise _unforeseen(code, what, error) from error
    except OSError as error:
        if error.errno not in _BY_NAMES:
            raise
        raise _unforeseen(code, what, error) from error


def read_json(path: Path, name: str) -> object:
    """Raises EvaluationError `MODEL-CONFIG`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_SETTINGS_BYTES + 1)
        if len(content) > MAX_SETTINGS_BYTES:
            raise ValueError(f"larger than {MAX_SETTINGS_BYTES:,} bytes")
        found: object = json.loads(content.decode("utf-8"))
        if b"\\ud" in content.lower():  # half a character passes as JSON, and fails wherever it is written
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError("MODEL-CONFIG", f"{name}: is not JSON ({error})") from error


def walked(value: object) -> Iterator[tuple[str, object, int]]:
    """Every key with its value and depth. A loop, since a submitted file may nest without end."""
    waiting = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, dict):
            yield from ((key, setting, depth) for key, setting in found.items())
            waiting.extend((inner, depth + 1) for inner in found.values())
        elif isinstance(found, list):
            waiting.extend((inner, depth + 1) for inner in found)


def _unforeseen(code: str, what: str, error: Exception) -> EvaluationError:
    problem = f"{what} cannot be checked ({type(error).__name__}: {str(error)[:200]})"
    return EvaluationError(code, f"{problem}; write it again with save_pretrained")
