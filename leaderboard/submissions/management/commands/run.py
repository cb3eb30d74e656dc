"""`manage.py run`: the whole board on this machine, until Ctrl-C."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from leaderboard import supervisor


class Command(BaseCommand):
    help = "Run web, worker and reconciler on this machine until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="of the web, on 127.0.0.1 (default: %(default)s)"
        )

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        supervisor.prepare(port)
        board = supervisor.Supervisor(
            supervisor.services(port),
            address=f"http://127.0.0.1:{port}/healthz",
            on_ready=lambda: self.stdout.write(f"\nSparseBoard: http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"),
        )
        sys.exit(board.run())
