"""Licence and languages, as the model card's front matter or a licence's own file says. Never rendered.

The front matter is YAML; three keys of it are read by hand, since a whole parser of YAML has more to offer to
somebody hostile than these keys need.
"""

import re
from pathlib import Path

from evaluations.inspection.inspection import Card

MAX_BYTES = 64 * 1024
MAX_TEXT = 60
README = "README.md"
_LICENCES = ("LICENSE", "LICENCE", "LICENSE.txt", "LICENCE.txt", "LICENSE.md", "LICENCE.md")
_FIRST_WORDS = {
    "Apache License": "apache-2.0",
    "MIT License": "mit",
    "BSD 3-Clause": "bsd-3-clause",
    "GNU AFFERO": "agpl-3.0",
    "GNU LESSER": "lgpl-3.0",
    "GNU GENERAL": "gpl-3.0",
    "Attribution-NonCommercial 4.0": "cc-by-nc-4.0",
    "Attribution-ShareAlike 4.0": "cc-by-sa-4.0",
    "Attribution 4.0": "cc-by-4.0",
}
_KEY = re.compile(r"(\w+):\s*(.*)")


def card_of(folder: Path) -> Card:
    """What is missing stays None; what is too long or not printable is as missing."""
    front = _front_matter(_start(folder / README))
    named = front.get("license_name") if front.get("license") in (["other"], None) else front.get("license")
    languages = tuple(front.get("language", [])[:20])
    if named:
        return Card(named[0], README, languages)
    for name in _LICENCES:
        start = _start(folder / name)[:400].casefold()
        for words, licence in _FIRST_WORDS.items():
            if words.casefold() in start:
                return Card(licence, name, languages)
    return Card(languages=languages)


def _start(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES).decode("utf-8", errors="replace").removeprefix("\ufeff")


def _front_matter(text: str) -> dict[str, list[str]]:
    """Key to values, of `key: value`, `key: [a, b]` and lists of lines `- a`, at the top level."""
    found: dict[str, list[str]] = {}
    lines = iter(text.splitlines())
    if next(lines, "").strip() != "---":
        return found
    key = ""
    for line in lines:
        if line.strip() == "---":
            return found
        matched = _KEY.fullmatch(line)
        if matched:
            key = matched[1]
            found[key] = _values(matched[2])
        elif line.strip().startswith("- ") and key:
            found[key] += _values(line.strip()[2:])
    return {}


def _values(text: str) -> list[str]:
    bare = text.partition(" #")[0].strip()
    parts = bare[1:-1].split(",") if bare.startswith("[") and bare.endswith("]") else [bare]
    values = [part.strip().strip("\"'") for part in parts]
    return [value for value in values if value and len(value) <= MAX_TEXT and value.isprintable()]
