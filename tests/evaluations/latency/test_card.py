"""The card that is watched: looked at after each block, while it works. A program answers as the driver's."""

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from evaluations.datasets import load
from evaluations.latency import baseline, gpu
from evaluations.latency.card import CardWatch, Look, used_card
from evaluations.latency.harness import empty_path
from evaluations.latency.references import References, matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings, record, session_gates
from evaluations.progress import Progress

CARD = "GPU-0a1b2c3d-0000-0000-0000-000000000001"
ALONE, SHARED = (f"{CARD}, {os.getpid()}\n", f"{CARD}, {os.getpid()}\n{CARD}, 4711\n")
IDLE, SLOWED = (f"{CARD}, 0x000000000000000{bits}\n" for bits in "14")
PROGRAM = """#!/bin/sh
echo "$1" >> {folder}/asked
turn=$(grep -c -- "$1" {folder}/asked)
case "$1" in
  *compute-apps*) cat {folder}/apps.$turn 2>/dev/null || cat {folder}/apps ;;
  *clocks_event_reasons*) sleep 0.05; cat {folder}/reasons.$turn 2>/dev/null || cat {folder}/reasons ;;
  *) exit 6 ;;
esac
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Answers with the files `apps` and `reasons`; the N-th time with `apps.N`, `reasons.N` if there."""
    program = tmp_path / "nvidia-smi"
    program.write_text(PROGRAM.format(folder=tmp_path))
    program.chmod(0o700)
    (tmp_path / "apps").write_text(ALONE)
    (tmp_path / "reasons").write_text(IDLE)
    monkeypatch.setattr(gpu.shutil, "which", lambda _: str(program))
    return tmp_path


def test_it_works(driver):
    (driver / "apps.2").write_text(SHARED)
    (driver / "reasons.3").write_text(SLOWED)
    watch = CardWatch(CARD)
    for _ in range(3):
        watch.look(lambda: None)
    assert watch.looks == (Look((), False), Look((4711,), False), Look((), True))


def test_the_card_works_while_the_driver_is_asked(driver):
    answered = []
    CardWatch(CARD).look(lambda: answered.append(len((driver / "reasons").read_text())))
    assert answered


def test_what_the_load_raises_is_raised(driver):
    def broken():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        CardWatch(CARD).look(broken)


def test_of_a_card_that_is_not_known_nothing_is(driver):
    watch = CardWatch(None)
    watch.look(lambda: None)
    assert watch.looks == (Look(None, None),)
    assert not (driver / "asked").exists()


def test_the_used_card_has_the_drivers_name_for_it(monkeypatch):
    properties = SimpleNamespace(uuid=CARD.removeprefix("GPU-"))
    cuda = SimpleNamespace(
        is_available=lambda: True,
        current_device=lambda: 1,
        get_device_properties={1: properties}.__getitem__,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert used_card() == CARD
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=bool)))
    assert used_card() is None


def test_a_session_sees_a_process_that_came_and_left_and_a_card_that_is_idle_at_the_end(driver, monkeypatch):
    (driver / "apps.2").write_text(SHARED)
    (driver / "reasons.4").write_text(SLOWED)
    monkeypatch.setattr("evaluations.latency.session.used_card", lambda: CARD)
    monkeypatch.setattr(baseline, "mini_bm25", empty_path)
    on_card = replace(empty_path(), device="cuda")
    known = References({"bm25": on_card}, matched_sum(on_card))
    quick = Settings(schedule=Schedule(block_s=0.0))
    session = record(on_card, load("mini", corpus=False), quick, Progress(), known)
    assert len(session.card.looks) == 5  # one a block
    said = {gate.name: gate.said for gate in session_gates(session, None)}
    assert said["shared card"] == "1 other processes computed on the card (limit none)"
    assert said["card throttling"] == "the card was slowed at 1 of 5 looks (limit none)"
