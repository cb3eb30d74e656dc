"""`manage.py add_benchmark NAME DATASET...`: a leaderboard over datasets of the catalogue."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.catalog import benchmarks, register


class Command(BaseCommand):
    help = "Create a benchmark, or bring it to this list. mini, beir-13, beir-15 and beir-18 know their own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "datasets",
            nargs="*",
            metavar="DATASET",
            help="in the order of the columns; GROUP:DATASET or GROUP=ONE,TWO for parts of one column",
        )
        parser.add_argument("--title", default="")
        parser.add_argument("--description", default="")
        parser.add_argument("--position", type=int, help="boards are listed by it, lowest first")
        parser.add_argument(
            "--force",
            action="store_true",
            help="change the list though there are submissions; entries are recomputed",
        )

    def handle(self, **options: Any) -> None:
        keys = ("title", "description", "position", "force")
        try:
            change = benchmarks.put(
                options["name"], options["datasets"], **{key: options[key] for key in keys}
            )
        except register.CatalogueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(benchmarks.describe(change))
