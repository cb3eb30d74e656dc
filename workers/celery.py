"""The workers' application: `python -m celery -A workers.celery worker --pool threads --concurrency 1 ...`

The thread pool, because children of the default one never hear of a warm shutdown.
"""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
django.setup()

from celery.signals import worker_init, worker_shutting_down  # noqa: E402 - Django is set up before

from leaderboard import broker  # noqa: E402
from workers import host, workspace  # noqa: E402

app = broker.make_app()
app.conf.update(
    imports=["workers.tasks"],
    worker_pool="threads",
    worker_concurrency=1,
)


@worker_init.connect
def start_clean(**_: Any) -> None:
    workspace.remove_abandoned()


@worker_shutting_down.connect
def give_back(**_: Any) -> None:
    """Heard in the middle of a running task: it stops its evaluator and gives its rows back."""
    host.stopping.set()
