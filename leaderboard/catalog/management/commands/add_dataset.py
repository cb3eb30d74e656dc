"""`manage.py add_dataset PATH|NAME`: load and check a dataset, and put it into the catalogue."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evaluations.errors import EvaluationError
from leaderboard.catalog import benchmarks, register


class Command(BaseCommand):
    help = "Load a dataset, check it and put it into the catalogue. The same content again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source", metavar="PATH|NAME", help="a BEIR-format folder, mini, or a name as beir/scifact"
        )
        parser.add_argument("--name", help="name on the board (default: the dataset's own)")
        parser.add_argument("--split", help="file of qrels/ (default: what the dataset declares, else test)")
        parser.add_argument(
            "--self-hits",
            choices=["keep", "remove"],
            help="remove the document with the query's own id from results (default: as declared, else keep)",
        )
        parser.add_argument("--licence", default="", help="shown with the dataset")
        parser.add_argument(
            "--new-version", action="store_true", help="keep the name though the content differs"
        )
        parser.add_argument("--benchmark", metavar="NAME", help="then put it at the end of this benchmark")
        parser.add_argument(
            "--force", action="store_true", help="with --benchmark: even where it has submissions already"
        )

    def handle(self, **options: Any) -> None:
        keys = ("name", "split", "self_hits", "licence", "new_version")
        try:
            registration = register.register_dataset(options["source"], **{key: options[key] for key in keys})
            self._tell(registration)
            if options["benchmark"]:
                change = benchmarks.append(options["benchmark"], registration.dataset, force=options["force"])
                self.stdout.write(benchmarks.describe(change))
        except (EvaluationError, register.CatalogueError) as error:
            raise CommandError(str(error)) from error

    def _tell(self, registration: register.Registration) -> None:
        self.stdout.write(register.describe(registration))
        for note in registration.notes:
            self.stdout.write(f"  {note}")
        for warning in registration.dataset.warnings:
            self.stderr.write(self.style.WARNING(f"warning: {warning}"))
