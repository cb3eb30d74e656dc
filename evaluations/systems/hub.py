"""The hub: which commit a name means, which files it has, and their content. Every question has a time limit.

`HF_ENDPOINT` names another hub; with `HF_HUB_OFFLINE=1` only its cache on this machine is asked.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.model_files import FILE_SUFFIXES

TIMEOUT_S = 5.0
Answer = TypeVar("Answer")
_WANTED = [f"*{suffix}" for suffix in FILE_SUFFIXES]
_OTHER_BACKENDS = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*"]
GIT = "git:"


@dataclass(frozen=True)
class HubModel:
    """A commit. `digests`: path of each file that a loader may read -> SHA-256 as 64 digits, or `git:` and
    its blob's id where the hub gives no other. `names`: of all files. `parameters` None: it is not said.
    """

    commit: str
    names: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    parameters: int | None = None


def describe(location: str, revision: str | None) -> HubModel:
    """Raises EvaluationError `MODEL-GATED`, `MODEL-REVISION`, `MODEL-MISSING`, EvaluationFailed
    `HUB-UNREACHABLE`. Downloads nothing.
    """
    from huggingface_hub import HfApi

    shown = f"{location}@{revision}" if revision else location
    info = _asked(
        lambda: HfApi().model_info(location, revision=revision, files_metadata=True, timeout=TIMEOUT_S),
        location,
        shown,
    )
    if not info.sha:
        raise EvaluationFailed("HUB-UNREACHABLE", f"the hub named no commit for {shown}; try again later")
    siblings = list(getattr(info, "siblings", None) or [])
    read = [file for file in siblings if _is_read(file.rfilename)]
    total = getattr(getattr(info, "safetensors", None), "total", None)
    return HubModel(
        commit=str(info.sha),
        names=tuple(file.rfilename for file in siblings),
        digests={file.rfilename: digest for file in read if (digest := _digest(file))},
        size_bytes=sum(file.size or 0 for file in read),
        parameters=total if isinstance(total, int) else None,
    )


def cached(location: str, revision: str | None) -> Path | None:
    """The snapshot in the hub's own cache, if it is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            location,
            revision=revision,
            local_files_only=True,
            allow_patterns=_WANTED,
            ignore_patterns=_OTHER_BACKENDS,
        )
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    except HFValidationError as error:
        raise _no_id(location) from error
    return Path(folder)


def is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def download(location: str, commit: str) -> Path:
    """Raises what `describe` raises."""
    from huggingface_hub import snapshot_download

    def fetch() -> str:
        return str(
            snapshot_download(
                location, revision=commit, allow_patterns=_WANTED, ignore_patterns=_OTHER_BACKENDS
            )
        )

    return Path(_asked(fetch, location, f"{location}@{commit}"))


def read_small(location: str, commit: str, name: str, limit: int) -> bytes:
    """One file's bytes, never more than the limit; a longer one is refused. Raises what `describe` raises."""
    return _asked(lambda: _streamed(location, commit, name, limit), location, f"{location}@{commit}")


def read_header(location: str, commit: str, name: str, limit: int) -> bytes:
    """The JSON at the start of a safetensors file; of what follows, no more than comes along.

    Raises EvaluationError `MODEL-WEIGHTS` for a header over the limit, and what `describe` raises.
    """
    return _asked(lambda: _header(location, commit, name, limit), location, f"{location}@{commit}")


def _streamed(location: str, commit: str, name: str, limit: int) -> bytes:
    content = bytearray()
    for piece in _pieces(location, commit, name):
        content += piece
        if len(content) > limit:
            raise EvaluationError("MODEL-FILES", f"{name} is larger than the {limit:,} bytes that are read")
    return bytes(content)


def _header(location: str, commit: str, name: str, limit: int) -> bytes:
    """Its length is in the first eight bytes."""
    content, length = bytearray(), 0
    with closing(_pieces(location, commit, name, 8 + limit)) as pieces:
        for piece in pieces:
            content += piece
            length = int.from_bytes(content[:8], "little") if len(content) >= 8 else 0
            if length > limit:
                problem = f"{name} declares a header of {length:,} bytes; at most {limit:,} are read"
                raise EvaluationError("MODEL-WEIGHTS", f"{problem}; write it again with save_pretrained")
            if len(content) >= 8 + length:
                break
    return bytes(content[8 : 8 + length])


def _pieces(location: str, commit: str, name: str, wanted: int | None = None) -> Generator[bytes]:
    """A file's bytes as they come. `wanted`: how many to ask for; a hub may send more."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import get_session, hf_raise_for_status

    request = get_session().stream(
        "GET",
        hf_hub_url(location, name, revision=commit),
        headers=build_hf_headers() | ({"Range": f"bytes=0-{wanted - 1}"} if wanted else {}),
        timeout=TIMEOUT_S,
        follow_redirects=True,
    )
    with request as response:
        hf_raise_for_status(response)
        yield from response.iter_bytes()


def _asked(question: Callable[[], Answer], location: str, shown: str) -> Answer:
    from huggingface_hub.errors import (  # type: ignore[attr-defined] # HTTPError is its HTTP library's
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return question()
    except GatedRepoError as error:
        raise EvaluationError(
            "MODEL-GATED", f"{location} asks for its licence to be accepted on the hub"
        ) from error
    except RevisionNotFoundError as error:
        raise EvaluationError("MODEL-REVISION", f"the hub has no revision {shown}") from error
    except RepositoryNotFoundError as error:
        raise EvaluationError(
            "MODEL-MISSING", f"the hub has no public model {location}; check its name"
        ) from error
    except HFValidationError as error:
        raise _no_id(location) from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise _unreachable(shown, error) from error


def _no_id(location: str) -> EvaluationError:
    return EvaluationError("MODEL-ID", f"{location[:100]!r} is no id to the hub; write ORG/NAME")


def _unreachable(shown: str, error: Exception) -> EvaluationFailed:
    problem = (
        f"{shown} is in no local folder, and the hub cannot be reached ({type(error).__name__}: {error})"
    )
    return EvaluationFailed("HUB-UNREACHABLE", f"{problem[:400]}; try again later")


def _is_read(name: str) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts)
    return name.endswith(FILE_SUFFIXES) and not hidden and not {"onnx", "openvino"} & set(parts[:-1])


def _digest(file: Any) -> str | None:
    sha256 = getattr(file.lfs, "sha256", None)
    return sha256 or (f"{GIT}{file.blob_id}" if file.blob_id else None)
