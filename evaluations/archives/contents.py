"""What an archive of a kind may hold, by name: what is taken, what is passed over, what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from evaluations.archives.limits import member_refusal
from evaluations.model_files import CODE_SUFFIXES, FILE_SUFFIXES, PICKLE_SUFFIXES, check_name

CARDS = ("readme.md", "license", "license.md", "licence", "licence.md")
_ARCHIVES = (
    ".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar", ".lz4",
    ".whl", ".egg", ".cab", ".iso",
)  # fmt: skip
_VECTOR_NAMES = frozenset(
    {"meta.json", "documents.ids.txt", "queries.ids.txt"}
    | {
        f"{side}{suffix}"
        for side in ("documents", "queries")
        for suffix in (".jsonl", ".jsonl.gz", ".npz", ".npy", ".safetensors")
    }
)


@dataclass(frozen=True)
class Contents:
    """`takes` raises EvaluationError for what has no place in it; `example` says what has."""

    takes: Callable[[PurePosixPath], bool]
    example: str


def _takes_model_file(path: PurePosixPath) -> bool:
    check_name(path)
    _check_no_archive(path)
    return path.name.lower().endswith(FILE_SUFFIXES) or path.name.lower() in CARDS


def is_vector_file(name: str) -> bool:
    return name in _VECTOR_NAMES


def _takes_vector_file(path: PurePosixPath) -> bool:
    if is_vector_file(path.name):
        return True
    if path.name.lower().endswith((*CODE_SUFFIXES, *PICKLE_SUFFIXES)):
        check_name(path)
    _check_no_archive(path)
    return False


def _check_no_archive(path: PurePosixPath) -> None:
    if path.name.lower().endswith(_ARCHIVES):
        raise member_refusal("NESTED", str(path), "is an archive within the archive; unpack it first")


MODEL = Contents(_takes_model_file, "config.json, the tokeniser's files and model.safetensors")
VECTORS = Contents(_takes_vector_file, "meta.json, documents and queries as docs/adding-a-system.md says")
