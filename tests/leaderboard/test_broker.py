"""The hint's way to a worker, over the folder and over Redis, and what happens where the broker is away."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from leaderboard import broker
from tests.conftest import require_binary

HINT = uuid.UUID("11111111-1111-4111-8111-111111111111")


@pytest.fixture
def folder(tmp_path: Path, settings) -> Iterator[Path]:
    settings.REDIS_URL, settings.BROKER_FOLDER = "", tmp_path / "broker"
    broker.producer_app.cache_clear()
    yield settings.BROKER_FOLDER
    broker.producer_app.cache_clear()


@pytest.fixture
def redis_url(settings) -> Iterator[str]:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    broker.producer_app.cache_clear()
    yield settings.REDIS_URL
    broker.producer_app.cache_clear()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def receive(queue: str, timeout: float = 2) -> list:
    """The arguments of the next message's task. Raises Empty where there is none."""
    with broker.make_app(fixups=[]).connection_for_read() as connection:
        declared = next(each for each in broker.queues() if each.name == queue)
        with contextlib.closing(connection.SimpleQueue(declared)) as messages:
            message = messages.get(timeout=timeout)
            message.ack()
            assert message.headers["task"] == "sparseboard.evaluate"
            return message.payload[0]


def test_every_queue_has_an_exchange_and_a_routing_key_of_its_own():
    names = {queue.name for queue in broker.queues()}
    assert names == {
        "retrieval.cpu", "retrieval.gpu", "sparsity.cpu", "sparsity.gpu", "latency.cpu", "latency.gpu",
    }  # fmt: skip
    assert {queue.exchange.name for queue in broker.queues()} == names
    assert {queue.routing_key for queue in broker.queues()} == names


def test_a_hint_reaches_its_queue_and_no_other(folder):
    broker.publish(HINT, "sparsity.cpu")
    with pytest.raises(Empty):
        receive("retrieval.cpu", timeout=0.3)
    assert receive("sparsity.cpu") == [str(HINT)]
    with pytest.raises(Empty):
        receive("sparsity.cpu", timeout=0.3)


def test_hints_arrive_in_the_order_in_which_they_were_sent(folder):
    sent = [uuid.uuid4() for _ in range(5)]
    with broker.connection() as connection:
        for each in sent:
            broker.publish(each, "retrieval.cpu", over=connection)
    assert [receive("retrieval.cpu") for _ in sent] == [[str(each)] for each in sent]


def test_a_message_is_whole_whenever_a_reader_can_see_it(folder, monkeypatch):
    """While the writer is in the middle of the file, the folder that readers list is empty."""
    seen, write = [], Path.write_text

    def watch(path: Path, text: str, **options) -> int:
        write(path, text[:10], **options)
        seen.append(os.listdir(folder / "messages"))
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", watch)
    broker.publish(HINT, "retrieval.cpu")
    assert seen == [[]]
    assert receive("retrieval.cpu") == [str(HINT)]


def test_each_message_goes_to_one_of_many_readers(folder):
    sent = {str(uuid.uuid4()) for _ in range(30)}
    for each in sent:
        broker.publish(uuid.UUID(each), "retrieval.cpu")
    got: list[str] = []

    def read() -> None:
        with contextlib.suppress(Empty):
            while True:
                got.extend(receive("retrieval.cpu", timeout=0.3))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sorted(got) == sorted(sent)


def test_a_message_cut_short_by_a_power_failure_is_set_aside(folder):
    broker.prepare_folders()
    (folder / "messages" / "0_cut.retrieval.cpu.msg").write_text('{"body": "W1')
    broker.publish(HINT, "retrieval.cpu")
    assert receive("retrieval.cpu") == [str(HINT)]
    assert os.listdir(folder / "taken") == ["0_cut.retrieval.cpu.msg"]


def test_a_folder_that_cannot_be_written_is_an_unavailable_broker(folder):
    broker.producer_app()
    (folder / "writing").rmdir()
    with pytest.raises(broker.BrokerUnavailable):
        broker.publish(HINT, "retrieval.cpu")


def test_workers_take_one_message_at_a_time_and_acknowledge_late(folder):
    conf = broker.make_app().conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (
        True,
        False,
        1,
    )
    assert (conf.accept_content, conf.task_serializer, conf.result_backend) == (["json"], "json", None)


def test_redis_keeps_a_message_longer_than_the_longest_evaluation(redis_url, settings):
    visible = broker.make_app(fixups=[]).conf.broker_transport_options["visibility_timeout"]
    assert visible > settings.EVALUATION_HARD_LIMIT_SECONDS


def test_a_redis_that_is_down_answers_at_once(redis_url):
    started = time.monotonic()
    with pytest.raises(broker.BrokerUnavailable):
        broker.publish(HINT, "retrieval.cpu")
    assert time.monotonic() - started < 3


def test_a_redis_behind_a_wall_that_swallows_packets_is_given_up_soon(redis_url, settings):
    """A listener whose backlog is full accepts no connection, and refuses none either."""
    with socket.socket() as listener, contextlib.ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        broker.producer_app.cache_clear()
        started = time.monotonic()
        with pytest.raises(broker.BrokerUnavailable):
            broker.publish(HINT, "retrieval.cpu")
        assert time.monotonic() - started < 4


@pytest.fixture
def redis_server(redis_url) -> Iterator[subprocess.Popen]:
    port = redis_url.rsplit(":")[-1].split("/")[0]
    command = [require_binary("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with Connection(redis_url) as connection:
            connection.ensure_connection(max_retries=50, interval_start=0.1, interval_step=0)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


@pytest.mark.services
def test_a_hint_reaches_its_queue_over_redis(redis_server):
    broker.publish(HINT, "retrieval.cpu")
    assert receive("retrieval.cpu") == [str(HINT)]


@pytest.mark.services
def test_a_frozen_redis_holds_a_request_for_three_seconds_at_the_most(redis_server):
    with broker.connection() as connection:
        broker.publish(HINT, "retrieval.cpu", over=connection)
        redis_server.send_signal(signal.SIGSTOP)
        for over in (connection, None):
            started = time.monotonic()
            with pytest.raises(broker.BrokerUnavailable):
                broker.publish(HINT, "retrieval.cpu", over=over)
            assert time.monotonic() - started < 3.5
        redis_server.send_signal(signal.SIGCONT)
    broker.publish(HINT, "retrieval.cpu")
