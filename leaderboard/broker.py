"""The broker: queue names, the transport, and the producer. It carries hints; the database is the truth.

A hint is the id of one evaluation. Losing one costs a wait (the reconciler sends it again), delivering one
twice costs an UPDATE that finds nothing to claim.
"""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any

from celery import Celery
from django.conf import settings
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES, filesystem, virtual
from kombu.utils.json import dumps, loads

EVALUATE = "sparseboard.evaluate"
TRACKS = ("retrieval", "sparsity", "latency")
DEVICES = ("cpu", "gpu")
POLLING_SECONDS = 0.2
DRAIN_SECONDS = 0.5
# Redis hands a message that was not acknowledged to another worker after this long: not before the longest
# evaluation is over. The lease protects the row even then.
VISIBILITY_MARGIN_SECONDS = 3600


class BrokerUnavailable(Exception):  # noqa: N818 - a state of the world, not the caller's error
    """The hint was not sent. A caller that stored its row goes on: the reconciler sends the hint later."""


def queue_name(track: str, device: str) -> str:
    return f"{track}.{device}"


def queues() -> list[Queue]:
    """Every queue with an exchange and a routing key of its own, so that no hint lands in two."""
    names = [queue_name(track, device) for track in TRACKS for device in DEVICES]
    return [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in names]


class FolderChannel(filesystem.Channel):
    """kombu's filesystem channel, made safe for several processes.

    kombu's lets a reader take a file that is still empty, which ends the worker, and keeps routing tables in
    files that are read while half written. Here a message appears by rename and is taken by rename, and the
    tables stay in memory: each process declares the queues it uses.
    """

    supports_fanout = False

    @property
    def folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override] # bases disagree
        # Sorted names are the order of delivery. Wall clock: the monotonic one of kombu restarts at boot.
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        beside = self.folder.with_name("writing") / name
        beside.write_text(dumps(payload), encoding="utf-8")
        beside.rename(self.folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self.folder)):
            if name.partition(".")[2] == f"{queue}.msg" and (payload := self._take(name)) is not None:
                return payload
        raise Empty

    def _take(self, name: str) -> Any:
        """The message, now ours alone; None where another worker was faster or the file holds no message."""
        taken = self.folder.with_name("taken") / name
        try:
            (self.folder / name).rename(taken)
        except FileNotFoundError:
            return None
        try:
            payload = loads(taken.read_text(encoding="utf-8"))
        except ValueError:
            return (
                None  # cut short by a power failure: it stays in `taken`, the reconciler sends the hint again
            )
        taken.unlink()
        return payload

    def get_table(self, exchange: str) -> list[Any]:
        table: list[Any] = virtual.Channel.get_table(self, exchange)
        return table

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        virtual.Channel._delete(self, queue, *args, **kwargs)


class FolderTransport(filesystem.Transport):
    Channel = FolderChannel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        """Celery asks with two seconds, and looks whether it is to stop only in between."""
        super().drain_events(connection, None if timeout is None else min(timeout, DRAIN_SECONDS))


# kombu finds transports by name; this is the one place to give ours one.
TRANSPORT_ALIASES["folder"] = f"{__name__}:FolderTransport"


def prepare_folders() -> None:
    for name in ("messages", "writing", "taken"):
        (settings.BROKER_FOLDER / name).mkdir(parents=True, exist_ok=True)


def transport_options() -> dict[str, Any]:
    if settings.REDIS_URL:
        visible = settings.EVALUATION_SWEEPS_LIMIT_SECONDS + VISIBILITY_MARGIN_SECONDS
        # A worker waits longer than the producer does, but not for ever on a connection cut silently.
        patience = {"socket_timeout": 30, "socket_connect_timeout": 5, "socket_keepalive": True}
        return {"visibility_timeout": visible, **patience}
    messages = str(settings.BROKER_FOLDER / "messages")
    return {"data_folder_in": messages, "data_folder_out": messages, "polling_interval": POLLING_SECONDS}


def make_app(*, fixups: list[str] | None = None) -> Celery:
    """The Celery application that the producer and the workers share; no `fixups` means Celery's own."""
    if not settings.REDIS_URL:
        prepare_folders()
    app = Celery(
        "sparseboard", broker=settings.REDIS_URL or "folder://localhost", set_as_current=False, fixups=fixups
    )
    app.conf.update(
        task_queues=queues(),
        task_default_queue=queue_name("retrieval", "cpu"),
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        broker_transport_options=transport_options(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Workers are told nothing over the broker: rows say what is cancelled, signals who is to stop.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        enable_utc=True,
    )
    return app


@cache
def producer_app() -> Celery:
    # Celery's fixup for Django puts the working folder on the import path: not in a web process.
    return make_app(fixups=[])


# A frozen Redis otherwise holds a request for over 40 s.
IMPATIENT = {
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}


@contextmanager
def connection() -> Iterator[Connection]:
    """A connection for several hints. Never a pooled one: a socket that died there costs a timeout too."""
    options = transport_options() | IMPATIENT
    opened = producer_app().connection_for_write(transport_options=options)
    try:
        yield opened
    finally:
        opened.release()


def broker_errors(connection: Connection) -> tuple[type[BaseException], ...]:
    return (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)


def publish(evaluation_id: uuid.UUID, queue: str, *, over: Connection | None = None) -> None:
    """Send the hint that an evaluation waits. Raises BrokerUnavailable, after three seconds at the most."""
    if over is None:
        with connection() as opened:
            return publish(evaluation_id, queue, over=opened)
    try:
        producer_app().send_task(
            EVALUATE, args=[str(evaluation_id)], queue=queue, connection=over, retry=False, ignore_result=True
        )
    except broker_errors(over) as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
