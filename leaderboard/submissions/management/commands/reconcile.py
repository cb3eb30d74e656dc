"""`manage.py reconcile`: send lost hints again, end what used its attempts, remove orphaned files."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.submissions import orphans, reconciler


class Command(BaseCommand):
    help = "Send lost hints again, end what used its attempts, sweep orphaned files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, then exit")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if once:
            reconciler.reconcile()
            orphans.sweep()
            return
        # A transaction that this interrupts is rolled back, and the next reconciler does its work.
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        reconciler.run_forever()


def _leave(*_: Any) -> None:
    sys.exit(0)
