"""The benches' page, and that a peer's process gives back what it found or says why not."""

import pytest

from tests.benchmarks import page
from tests.benchmarks.alternation import Duel, Turn, contender
from tests.benchmarks.framework import Section, Table, Target

SECTION = Section(
    title="Counting",
    intro="One, two.",
    tables=(Table("to two", ("engine", "ms"), (("**ours**", "1"), ("peer", "2"))),),
    targets=(Target("speed", "at least 3", "2", False), Target("memory", "at most 9 MB", "4 MB", True)),
    versions={"peer": "1.0"},
)
IDLE = {
    "processor": "P, 2 cores, 8 GiB",
    "date": "2026-01-01",
    "load": "0.1",
    "shared": "no",
    "python": "3.11.9",
}


class Echo:
    """An engine that finds what it was given."""

    version, threads, index_bytes = "0", 1, 8

    def __init__(self, found):
        if found is None:
            raise ValueError("nothing to find")
        self._found = found

    def run(self):
        self.ran = True

    def result(self):
        return self._found if self.ran else None

    def profile(self):
        return {}


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path / "benchmarks.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    page.store("counting", SECTION, IDLE)
    page.write()
    return page.PAGE


def test_a_missed_target_is_said_in_the_table(written):
    assert "| speed | at least 3 | 2 | **no** |" in written.read_text()
    assert "| memory | at most 9 MB | 4 MB | yes |" in written.read_text()


def test_a_bench_run_alone_keeps_the_other_sections(written):
    page.store("another", Section("Another", "Three.", (), ()), IDLE | {"load": "4.0", "shared": "yes"})
    page.write()
    text = written.read_text()
    assert "| peer | 2 |" in text
    assert text.index("## Another") < text.index("## Counting")
    assert text.count("shared with other work") == 1


def test_the_ratio_is_the_median_over_rounds_so_that_one_disturbed_round_does_not_decide():
    ours = tuple(Turn(wall, 0.0) for wall in (1.0, 2.0, 1.0))
    theirs = tuple(Turn(wall, 0.0) for wall in (3.0, 8.0, 99.0))
    assert Duel(ours, theirs).ratio == 4.0


def test_an_engine_answers_from_a_process_of_its_own_and_its_failure_is_raised_here():
    with contender(f"{__name__}:Echo", [1, 2]) as engine:
        assert engine.turn().wall_s > 0
        assert engine.result() == [1, 2]
        assert engine.peak_bytes() > 1_000_000
    with pytest.raises(ValueError, match="nothing to find"), contender(f"{__name__}:Echo", None):
        pass
