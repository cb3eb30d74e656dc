"""Small real datasets, people, and ways to see that nothing was stored."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from evaluations.systems.locations import Pinned
from leaderboard.accounts.models import User
from leaderboard.catalog.models import Benchmark, Dataset, Revision, RevisionFile, System
from leaderboard.submissions import hub
from leaderboard.submissions.models import AuditEvent, Evaluation, Submission
from tests.factories import make_benchmark, make_dataset, make_folder, make_user

COUNTED = (System, Revision, RevisionFile, Submission, Evaluation, AuditEvent)
RUN = "q1 Q0 d1 1 9.5 cats\nq1 Q0 d2 2 7.25 cats\nq2 Q0 d3 1 3 cats\n"
FILES = {"model.safetensors": "e" * 64, "config.json": f"git:{'f' * 40}"}
COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"

MakeFolderDataset = Callable[..., Dataset]


@pytest.fixture
def alice(db) -> User:
    return make_user("alice")


@pytest.fixture
def charlie(db) -> User:
    return make_user("charlie")


@pytest.fixture
def folder_dataset(db, tmp_path: Path) -> MakeFolderDataset:
    """A dataset with its files in a folder of the test."""

    def make(name: str, *, has_corpus: bool = True, **fields: object) -> Dataset:
        documents = {} if has_corpus else {"documents": None}
        folder = make_folder(tmp_path / "datasets" / name, **documents, **fields)
        return make_dataset(name, has_corpus=has_corpus, source=str(folder))

    return make


@pytest.fixture
def pets(folder_dataset: MakeFolderDataset) -> Benchmark:
    """A benchmark of one dataset with a corpus."""
    return make_benchmark("pets", [folder_dataset("pets")], title="Pets")


@pytest.fixture
def zoo(folder_dataset: MakeFolderDataset) -> Benchmark:
    """A benchmark of two datasets, the second without a corpus."""
    queries, qrels = {"z1": "striped horse"}, {("z1", "zebra"): 1}
    wild = folder_dataset("wild", has_corpus=False, queries=queries, qrels=qrels)
    return make_benchmark("zoo", [folder_dataset("tame"), wild], title="Zoo")


@pytest.fixture
def storage(settings, tmp_path: Path) -> Path:
    """Where uploads go: a folder of the test."""
    folder = tmp_path / "artefacts"
    local = {**settings.STORAGES["default"], "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "default": local}
    return folder


@pytest.fixture
def known_model(monkeypatch: pytest.MonkeyPatch) -> str:
    """A model the hub knows, without a hub."""
    monkeypatch.setattr(hub, "pin", lambda *_: Pinned(COMMIT, FILES))
    return "org/model"


@pytest.fixture
def nothing_stored(db, storage: Path) -> Callable[[], AbstractContextManager[None]]:
    """`with nothing_stored(): ...` fails where a row or a file came to be."""

    @contextmanager
    def unchanged() -> Iterator[None]:
        before = _stored(storage)
        yield
        assert _stored(storage) == before

    return unchanged


def _stored(storage: Path) -> dict[str, int]:
    rows = {model.__name__: model.objects.count() for model in COUNTED}
    return rows | {"files": sum(path.is_file() for path in storage.rglob("*"))}


def upload(content: str | bytes = RUN, name: str = "pets.trec") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)
