"""What the latency bench concludes from sessions, and that its busy processes end."""

from argparse import Namespace

import psutil
import pytest

from tests.benchmarks.latency import Outcome, _busy, _section


def session(matched=1.0, *failed):
    return Outcome(seconds=10.0, p50_ms=5.0, matched=matched, bm25=80.0, failed=failed)


def targets(half, found):
    section = _section(Namespace(half=half, system="minilm"), found)
    return [(target.measured, target.met) for target in section.targets]


@pytest.mark.parametrize(("rejected", "met"), [(20, True), (19, True), (18, False)])
def test_a_busy_machine_must_be_noticed_in_nineteen_of_twenty_sessions(rejected, met):
    found = [session(1.0, "scan variation")] * rejected + [session()] * (20 - rejected)
    assert targets("busy", found) == [(f"{rejected} of 20", met)]


@pytest.mark.parametrize(("rejected", "met"), [(0, True), (1, True), (2, False)])
def test_a_quiet_machine_may_be_refused_once_in_twenty_sessions(rejected, met):
    found = [session(1.0, "scan variation")] * rejected + [session()] * (20 - rejected)
    assert targets("quiet", found)[0] == (f"{rejected} of 20", met)


def test_the_ratio_of_ten_quiet_sessions_may_vary_by_three_percent():
    # by hand: five at 0.98 and five at 1.02 have a standard deviation of 0.0211
    assert targets("quiet", [session(0.98)] * 5 + [session(1.02)] * 5)[1] == ("2.1%", True)
    assert targets("quiet", [session(0.96)] * 5 + [session(1.04)] * 5)[1] == ("4.2%", False)


def test_the_processes_that_keep_the_machine_busy_are_gone_afterwards():
    before = set(psutil.Process().children())
    with _busy(2):
        assert len(set(psutil.Process().children()) - before) >= 2
    left = [
        each
        for each in set(psutil.Process().children()) - before
        if "resource_tracker" not in " ".join(each.cmdline())
    ]
    assert left == []
