"""Names as the catalogue keeps them: lower-case letters, digits, hyphens; they are addresses and columns."""

import re

from django.utils.text import slugify

from .errors import CatalogueError

LONGEST = 80
_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


def dataset_name(name: str) -> str:
    """`beir/scifact` is `scifact`, `cqadupstack/gis` is `cqadupstack-gis`."""
    slug = slugify(name.removeprefix("beir/").replace("/", "-").replace(".", "-"))
    if not slug or len(slug) > LONGEST:
        raise CatalogueError(
            f"{name!r} makes no name of 1 to {LONGEST} letters, digits and hyphens: give one with --name"
        )
    return slug


def checked(name: str) -> str:
    """The name of a benchmark or a group, as it is."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise CatalogueError(
            f"{name!r} is no name: use up to {LONGEST} lower-case letters, digits and hyphens"
        )
    return name
