from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BoardsConfig(AppConfig):
    name = "leaderboard.boards"
    label = "boards"
    verbose_name = "Boards"

    def ready(self) -> None:
        from leaderboard.catalog.signals import benchmark_changed

        benchmark_changed.connect(_refresh_board, dispatch_uid="boards.refresh")
        post_migrate.connect(_refresh_outdated, sender=self, dispatch_uid="boards.refresh_outdated")


def _refresh_board(benchmark: Any, **_: Any) -> None:
    from leaderboard.boards import entries  # here, because models load after the apps

    entries.refresh_board(benchmark)


def _refresh_outdated(apps: Any = None, **_: Any) -> None:
    """Rows from before a column of theirs was there. Not in a migration: these know no code of today.

    `apps`: the models as migrated, maybe backwards; None after a flush, which leaves no rows.
    """
    if apps is None:
        return
    columns = {field.name for field in apps.get_model("boards", "Entry")._meta.get_fields()}
    if "conditions" in columns:
        from leaderboard.boards import entries

        entries.refresh_outdated()
