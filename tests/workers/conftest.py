"""A board on a small dataset, with the stand-in evaluator and clocks that run fast."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from leaderboard import broker
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions.models import Submission
from tests.factories import add_benchmark, add_dataset, make_folder, make_revision, make_submission
from workers import host


@pytest.fixture
def var(tmp_path: Path, settings) -> Iterator[Path]:
    """The board's folder. Its database is the test's."""
    if connection.vendor == "sqlite":
        (tmp_path / "db.sqlite3").symlink_to(settings.DATABASES["default"]["TEST"]["NAME"])
    settings.HOST_LOCKS = tmp_path  # another board may run on this machine
    settings.VAR, settings.REDIS_URL, settings.BROKER_FOLDER = tmp_path, "", tmp_path / "broker"
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "artefacts"},
        }
    }
    settings.EVALUATOR_MODULE = "tests.workers.stand_in"
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 3, 1
    broker.producer_app.cache_clear()
    host.stopping.clear()
    yield tmp_path
    host.stopping.clear()
    broker.producer_app.cache_clear()


@pytest.fixture
def pets(var: Path) -> Dataset:
    return add_dataset(make_folder(var / "pets"), name="pets")


@pytest.fixture
def submit(pets: Dataset) -> Callable[..., Submission]:
    """A submission of BM25 on the pets; `behave` is for the stand-in."""
    benchmark: Benchmark = add_benchmark("pets", ["pets"])

    def make(behave: str = "", **revision: Any) -> Submission:
        options = {"behave": behave} if behave else {}
        fields = {"kind": "bm25", "options": options} | revision
        return make_submission(benchmark=benchmark, revision=make_revision(**fields))

    return make
