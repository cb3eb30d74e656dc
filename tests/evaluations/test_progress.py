"""How far an evaluation is, as JSON lines."""

import io
import json

import pytest

from evaluations import progress as module
from evaluations.progress import JsonProgress, Progress


@pytest.fixture
def stream():
    return io.StringIO()


def lines(stream) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_it_works(stream, monkeypatch):
    monkeypatch.setattr(module, "JSON_INTERVAL_S", 0.0)
    progress = JsonProgress(stream)
    with progress.stage("encoding", total=4):
        progress.advance(1)
        progress.note("half way")
        progress.advance(3)
    assert lines(stream) == [
        {"stage": "encoding", "share": 0.0, "message": None},
        {"stage": "encoding", "share": 0.25, "message": None},
        {"stage": "encoding", "share": 0.25, "message": "half way"},
        {"stage": "encoding", "share": 1.0, "message": None},
        {"stage": "encoding", "share": 1.0, "message": None},
    ]


def test_a_million_steps_are_a_few_lines(stream):
    progress = JsonProgress(stream)
    with progress.stage("searching", total=100_000):
        for _ in range(100_000):
            progress.advance()
    assert 2 <= len(lines(stream)) < 10


def test_a_stage_of_unknown_length_has_no_share_until_it_ends(stream):
    with JsonProgress(stream).stage("loading"):
        pass
    assert [line["share"] for line in lines(stream)] == [None, 1.0]


def test_a_stage_that_an_error_ended_is_not_done(stream):
    progress = JsonProgress(stream)

    def breaks_half_way():
        with progress.stage("encoding", total=10):
            progress.advance(5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks_half_way()
    assert lines(stream)[-1]["share"] == 0.5


def test_the_times_of_a_repeated_stage_add_up():
    progress = Progress()
    for _ in range(2):
        with progress.stage("encoding"):
            pass
    assert list(progress.durations_s) == ["encoding"]
    assert progress.durations_s["encoding"] > 0
