"""`manage.py list_datasets`: what the catalogue holds, one dataset a line."""

from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.catalog.models import Dataset

COLUMNS = (
    "name",
    "split",
    "documents",
    "queries",
    "judgements",
    "self_hits",
    "protocol",
    "benchmarks",
    "source",
)


class Command(BaseCommand):
    help = "List the datasets of the catalogue: name, split, sizes, benchmarks and where they lie."

    def handle(self, **options: Any) -> None:
        rows = [list(COLUMNS), *(_cells(row) for row in Dataset.objects.prefetch_related("benchmarks"))]
        widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
        for row in rows:
            self.stdout.write(
                "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            )


def _cells(row: Dataset) -> list[str]:
    documents = "-" if row.documents is None else str(row.documents)
    benchmarks = ",".join(benchmark.name for benchmark in row.benchmarks.all()) or "-"
    counts = [documents, str(row.queries), str(row.judgements)]
    return [row.name, row.split, *counts, row.self_hits, row.protocol, benchmarks, row.source]
