"""Rounding and labels in templates; the rules themselves are in `boards.metrics` and `boards.families`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from leaderboard.boards import families
from leaderboard.boards.metrics import NBSP, PRIMARY, describe
from leaderboard.boards.system_page import Line, option_list
from leaderboard.catalog.models import Revision

register = template.Library()


@register.filter
def metric(value: float | None, name: str) -> str:
    return describe(name).format(value)


@register.filter
def exact(value: float) -> str:
    """All digits; a whole number without the `.0` that says nothing."""
    return str(int(value)) if value == int(value) else repr(value)


@register.filter
def family_label(family: str) -> str:
    return families.label(family)


@register.filter
def options(revision: Revision) -> list[tuple[str, str]]:
    return option_list(revision)


@register.filter
def value_on(lines: Sequence[Line], place: int) -> str:
    """The primary metric on the dataset at `place`."""
    found = next((line for line in lines if line.metric.name == PRIMARY), None)
    return describe(PRIMARY).format(found.values[place].value if found else None)


@register.filter
def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}{NBSP}h {minutes_left}{NBSP}min"
    return f"{minutes}{NBSP}min {rest}{NBSP}s" if minutes else f"{rest}{NBSP}s"


@register.filter
def ago(moment: datetime) -> str:
    """`just now`, `3 minutes ago`, `2 days ago`: the largest unit only."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"
