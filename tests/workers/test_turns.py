"""Whose turn it is on a host: latency alone, everything else together, and one latency worker at most."""

import os
import stat
import threading

import pytest

from workers import host


class Waiting:
    """A thread that waits for its turn, and says when it has it."""

    def __init__(self, *, alone: bool, order: list[str], name: str) -> None:
        self._alone, self._order, self._name = alone, order, name
        self.may_end = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with host.turn(alone=self._alone, check=lambda: None):
            self._order.append(self._name)
            self.may_end.wait(10)

    def had_its_turn(self, within: float) -> bool:
        self.thread.join(0)
        deadline = threading.Event()
        for _ in range(int(within / 0.05)):
            if self._name in self._order:
                return True
            deadline.wait(0.05)
        return self._name in self._order

    def end(self) -> None:
        self.may_end.set()
        self.thread.join(5)


@pytest.fixture(autouse=True)
def quick(var, monkeypatch):
    monkeypatch.setattr(host, "POLL_SECONDS", 0.05)


def test_latency_waits_for_others_and_others_for_it():
    order: list[str] = []
    first = Waiting(alone=False, order=order, name="retrieval")
    assert first.had_its_turn(2)
    latency = Waiting(alone=True, order=order, name="latency")
    assert not latency.had_its_turn(0.4)
    first.end()
    assert latency.had_its_turn(2)
    second = Waiting(alone=False, order=order, name="another")
    assert not second.had_its_turn(0.4)
    latency.end()
    assert second.had_its_turn(2)
    second.end()
    assert order == ["retrieval", "latency", "another"]


def test_evaluations_that_are_not_timed_run_together():
    order: list[str] = []
    both = [Waiting(alone=False, order=order, name=name) for name in ("one", "other")]
    assert all(each.had_its_turn(2) for each in both)
    for each in both:
        each.end()


def test_who_comes_after_a_waiting_latency_session_does_not_go_before_it():
    order: list[str] = []
    first = Waiting(alone=False, order=order, name="first")
    assert first.had_its_turn(2)
    latency = Waiting(alone=True, order=order, name="latency")
    assert not latency.had_its_turn(0.3)
    late = Waiting(alone=False, order=order, name="late")
    assert not late.had_its_turn(0.4)
    first.end()
    assert latency.had_its_turn(2)
    latency.end()
    assert late.had_its_turn(2)
    late.end()
    assert order == ["first", "latency", "late"]


def test_who_waits_may_give_up():
    order: list[str] = []
    first = Waiting(alone=False, order=order, name="first")
    assert first.had_its_turn(2)

    def give_up() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), host.turn(alone=True, check=give_up):
        pytest.fail("it was not its turn")
    later = Waiting(alone=False, order=order, name="later")
    assert later.had_its_turn(2)  # nothing is left locked
    first.end()
    later.end()


def test_a_latency_worker_of_another_board_on_the_host_refuses_to_start(settings, tmp_path):
    settings.HOST_LOCKS, settings.VAR = tmp_path / "host", tmp_path / "one"
    settings.HOST_LOCKS.mkdir()
    with host.only_latency_worker():
        settings.VAR = tmp_path / "other"
        held = str(tmp_path / "host" / "sparseboard-latency-worker.lock")
        with pytest.raises(host.TwoLatencyWorkers, match=held), host.only_latency_worker():
            pytest.fail("two latency workers")
        settings.HOST_LOCKS = tmp_path / "another host"
        settings.HOST_LOCKS.mkdir()
        with host.only_latency_worker():
            pass
    settings.HOST_LOCKS = tmp_path / "host"
    with host.only_latency_worker():
        pass


def test_any_user_may_lock_the_hosts_file_whoever_made_it(settings, tmp_path):
    before = os.umask(0o077)
    try:
        with host.only_latency_worker():
            pass
    finally:
        os.umask(before)
    path = tmp_path / "sparseboard-latency-worker.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o444)  # as for a user who may only read it
    with host.only_latency_worker():
        pass


def test_a_folder_that_is_not_there_is_named_with_what_to_do(settings, tmp_path):
    settings.HOST_LOCKS = tmp_path / "none"
    said = r"none/.*cannot be opened \(No such file.*SPARSEBOARD_HOST_LOCKS"
    with pytest.raises(host.NotStarted, match=said), host.only_latency_worker():
        pytest.fail("nobody knows whether it is the only one")


def test_a_link_in_place_of_the_hosts_file_is_not_followed(settings, tmp_path):
    (tmp_path / "sparseboard-latency-worker.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(host.NotStarted, match="cannot be opened"), host.only_latency_worker():
        pytest.fail("it followed the link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_second_latency_worker_of_a_host_refuses_to_start():
    refused = pytest.raises(host.TwoLatencyWorkers, match="stop one")
    with host.only_latency_worker(), refused, host.only_latency_worker():
        pytest.fail("two latency workers")
    with host.only_latency_worker():
        pass
