from typing import Any

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    name = "leaderboard.boards"
    label = "boards"
    verbose_name = "Boards"

    def ready(self) -> None:
        from leaderboard.catalog.signals import benchmark_changed

        benchmark_changed.connect(_refresh_board, dispatch_uid="boards.refresh")


def _refresh_board(benchmark: Any, **_: Any) -> None:
    from leaderboard.boards import entries  # here, because models load after the apps

    entries.refresh_board(benchmark)
