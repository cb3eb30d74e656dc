"""Facts of machines as a person reads them."""

from collections.abc import Mapping

from django import template
from django.template.defaultfilters import filesizeformat

register = template.Library()


@register.filter
def spaced(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


@register.filter
def fact(value: object) -> str:
    """Lists and tables on one line; large numbers are bytes."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {fact(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**20:
        return filesizeformat(value)
    return "none" if value is None else str(value)


@register.filter
def short(system: str) -> str:
    """Without the organisation: `dense: all-MiniLM-L6-v2`."""
    kind, colon, location = system.partition(":")
    return f"{kind}: {location.rpartition('/')[2]}" if colon else system


@register.filter
def commas(text: str) -> str:
    return text.replace(",", ", ")


@register.filter
def off(share: float) -> str:
    """`+25 %`, of a share."""
    return f"{share:+.0%}".replace("%", " %")


@register.filter
def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} ms"
