"""Times as people read them."""

from django import template

register = template.Library()
MINUTE, HOUR = 60, 3600


@register.filter
def duration(seconds: float | None) -> str:
    """`12 s`, `1 min 05 s`, `2 h 05 min`; nothing for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
