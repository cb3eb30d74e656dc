"""People with tokens, and a catalogue with one small dataset that is really there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from leaderboard.accounts.models import AuthToken, User
from leaderboard.catalog.models import Benchmark
from tests.factories import add_benchmark, add_dataset, make_folder, make_user


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Requests are counted in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def own_storage(settings, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "artefacts"},
        }
    }


@pytest.fixture
def pets(tmp_path: Path, db: None) -> Benchmark:
    add_dataset(make_folder(tmp_path / "pets"))
    return add_benchmark("pets", ["pets"])


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie")


def client_of(user: User, scope: str = "submit") -> APIClient:
    """A client with a token of the scope."""
    _, token = AuthToken.objects.create(user=user, name="test", scope=scope)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def api(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def anonymous(db: None) -> APIClient:
    return APIClient()
