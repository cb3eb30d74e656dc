"""What tests of hints share: a broker that writes down what it was given."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leaderboard import broker
from tests.leaderboard.submissions.submitting import (  # noqa: F401 - fixtures
    alice,
    charlie,
    folder_dataset,
    known_model,
    nothing_stored,
    pets,
    storage,
    zoo,
)


class RecordingBroker:
    """Stands for the broker's two functions; breaks after `patience` hints where that is given."""

    def __init__(self, patience: int | None = None) -> None:
        self.sent: list[tuple[uuid.UUID, str]] = []
        self.patience = patience

    @contextmanager
    def connection(self) -> Iterator[None]:
        yield None

    def publish(self, evaluation_id: uuid.UUID, queue: str, *, over: None) -> None:
        if self.patience is not None and len(self.sent) >= self.patience:
            raise broker.BrokerUnavailable("Connection refused")
        self.sent.append((evaluation_id, queue))


@pytest.fixture
def recorder(monkeypatch) -> RecordingBroker:
    recorder = RecordingBroker()
    monkeypatch.setattr(broker, "connection", recorder.connection)
    monkeypatch.setattr(broker, "publish", recorder.publish)
    return recorder
