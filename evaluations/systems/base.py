"""The words that every kind of system shares: what was submitted, what may be set, what an adapter must do.

Adding a kind is one file that ends in a `Kind`, and one line in `KINDS`.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.tracks import Findings

Value = str | int | float | bool | None
OptionType = Literal["int", "float", "str", "bool"]
Takes = Literal["nothing", "model", "vocabulary", "file", "folder"]

CACHE_BYTES = 20 * 2**30
MAX_TEXT = 2000  # characters of an option such as a prompt


@dataclass(frozen=True)
class Option:
    """A setting of a kind, described so that a form can show and check it. Default None: may stay unset.

    `located`: the one value it may have where a kind that can do without a location is given one. `resolved`:
    values that a submitter may choose besides, and that are stored as the one of `choices` they stand for.
    """

    name: str
    type: OptionType
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    located: Value = None
    resolved: tuple[str, ...] = ()

    def checked(self, value: object) -> Value:
        """The value in its own type. Raises EvaluationError `OPTION-TYPE` or `OPTION-RANGE`."""
        if value is None and self.default is None:
            return None
        typed = self._typed(value)
        if self.choices and typed not in self.choices:
            raise self._out_of_range(value, f"one of {', '.join(self.choices)}")
        if isinstance(typed, str) and len(typed) > MAX_TEXT:
            raise self._out_of_range(value, f"at most {MAX_TEXT} characters long")
        if isinstance(typed, int | float) and not isinstance(typed, bool):
            self._check_range(typed)
        return typed

    def parsed(self, text: str) -> Value:
        """The value that a command line or a form field wrote as text; `none` unsets what may be unset."""
        if self.default is None and text.lower() in ("", "none"):
            return None
        try:
            value = _PARSERS[self.type](text)
        except (ValueError, KeyError) as error:
            raise self._wrong_type(text) from error
        return self.checked(value)

    def _typed(self, value: object) -> Value:
        if self.type == "float" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not _TYPES[self.type]:  # exactly: to Python, True is an int
            raise self._wrong_type(value)
        return value  # type: ignore[return-value]

    def _check_range(self, value: float) -> None:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not (math.isfinite(value) and low <= value <= high):
            raise self._out_of_range(value, f"from {low:g} to {high:g}")

    def _wrong_type(self, value: object) -> EvaluationError:
        return EvaluationError(
            "OPTION-TYPE", f"option {self.name}: {str(value)[:60]!r} is not {_NOUNS[self.type]}"
        )

    def _out_of_range(self, value: object, allowed: str) -> EvaluationError:
        return EvaluationError("OPTION-RANGE", f"option {self.name}: {str(value)[:60]!r} must be {allowed}")


_TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_NOUNS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
_PARSERS: Mapping[str, Callable[[str], Value]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


@dataclass(frozen=True)
class SystemSpec:
    """What was submitted, with every option filled in, so that equal specs are equal systems.

    `revision` is exact once pinned: a commit of the hub, or `sha256:` and 16 digits of the files' checksum.
    `members`: the systems that it is made of, in order; see `Members`.
    """

    kind: str
    location: str | None = None
    revision: str | None = None
    options: Mapping[str, Value] = field(default_factory=dict)
    members: tuple["SystemSpec", ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(sorted(self.options.items()))))

    def to_dict(self) -> dict[str, object]:
        """Without `members` where there are none, so that the hashes of other kinds stay as they are."""
        own: dict[str, object] = {
            "kind": self.kind,
            "location": self.location,
            "revision": self.revision,
            "options": dict(self.options),
        }
        return {**own, "members": [member.to_dict() for member in self.members]} if self.members else own

    def to_json(self) -> str:
        """Canonical, fit to be hashed."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def __str__(self) -> str:
        """As `--system` takes it; options go by `--option`, members by `--member`."""
        place = f":{self.location}" if self.location else ""
        return f"{self.kind}{place}{f'@{self.revision}' if self.revision else ''}"


@dataclass(frozen=True)
class RankedList:
    """One query's documents in the one order (see search/order.py). `scores` float32, shape (documents,)."""

    document_ids: Sequence[str]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.document_ids)


@dataclass(frozen=True)
class Run:
    """Ranked lists by query id. A query without results may be absent or empty."""

    lists: Mapping[str, RankedList]
    warnings: tuple[str, ...] = ()

    @property
    def depth_max(self) -> int:
        return max((len(ranked) for ranked in self.lists.values()), default=0)


@dataclass(frozen=True)
class Runtime:
    """Where a system runs: `device` cpu or cuda; `threads` None: as many as it may use physical cores.

    `cache`: the folder in which vectors are kept from one evaluation to the next, of at most `cache_bytes`;
    None keeps none.
    """

    device: str = "cpu"
    threads: int | None = None
    cache: Path | None = None
    cache_bytes: int = CACHE_BYTES


class System(Protocol):
    """An adapter: `index` once, then `retrieve`, then `sparsity`."""

    def index(self, documents: Documents | None, progress: Progress) -> None:
        """Takes the corpus. Only a kind with `needs_corpus` false is ever given None."""

    def retrieve(self, queries: Mapping[str, str], depth: int, progress: Progress) -> Run:
        """The first `depth` documents of each query, in the one order."""

    def sparsity(self) -> Findings:
        """The sparsity track's metrics over the corpus indexed and the queries retrieved."""

    def provenance(self) -> Mapping[str, str | int | None]:
        """How it ran: device, precision, threads, kernels."""


class Pin(Protocol):
    """Gives a spec its exact revision, downloading nothing. `allow_path`: a model may be a folder's path."""

    def __call__(self, spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec: ...


_PLACES: Mapping[Takes, str] = {
    "nothing": "",
    "model": ":ORG/NAME[@REVISION]",
    "vocabulary": "[:ORG/NAME[@REVISION]]",
    "file": ":FILE",
    "folder": ":FOLDER",
}


def _unpinned(spec: SystemSpec, *, allow_path: bool = False) -> SystemSpec:  # noqa: ARG001 - as `Pin` says
    """For kinds without a revision."""
    return spec


def _no_problems(form: str, options: Mapping[str, Value]) -> Iterable[EvaluationError]:  # noqa: ARG001
    """For kinds whose models all take all their options."""
    return ()


# Kinds that retrieve by themselves. A composite is made of these only: no nesting deeper than one level.
RETRIEVERS = ("bm25", "dense", "sparse", "late-interaction", "run", "vectors")


@dataclass(frozen=True)
class Members:
    """How many systems a kind is made of, and of which kinds. `noun`: what one of them is called."""

    minimum: int = 0
    maximum: int = 0
    kinds: tuple[str, ...] = RETRIEVERS
    noun: str = "member"

    def check(self, kind: str, found: Sequence[str]) -> None:
        """Raises EvaluationError `SYSTEM-MEMBERS` where the kinds `found` are too many, too few or unfit."""
        if not self.maximum and found:
            raise EvaluationError("SYSTEM-MEMBERS", f"{kind} is made of no other systems; leave them out")
        for name in found:
            if name not in self.kinds:
                problem = f"{name[:60]!r} cannot be a {self.noun} of {kind}"
                raise EvaluationError("SYSTEM-MEMBERS", f"{problem}; it takes: {', '.join(self.kinds)}")
        if not self.minimum <= len(found) <= self.maximum:
            raise EvaluationError("SYSTEM-MEMBERS", f"{kind} needs {self.wanted}; {len(found)} given")

    @property
    def wanted(self) -> str:
        """`1 first stage`, `2 to 8 members`."""
        if self.minimum == self.maximum:
            return f"{self.minimum} {self.noun}"
        return f"{self.minimum} to {self.maximum} {self.noun}s"


@dataclass(frozen=True)
class Kind:
    """What the board knows of a kind of system without loading one.

    `load` imports heavy libraries when called. `pin` is for the web form too, which does not allow paths.
    `inspect` says what can be said of a system without loading it. Where `web` is false, only the command
    line takes it: form and REST neither offer nor accept it. `members`: what it is made of, where it is made
    of others. `encodes_queries`: false where their vectors come from elsewhere: its latency track times the
    search alone, and nothing that it is a member of can be timed. `complete` checks what options and members
    say together, and fills what follows from them. `option_problems`: what is wrong with options for a model
    of the form that an inspection names; each message begins with `option NAME:`.
    """

    name: str
    title: str
    family: str
    help: str
    takes: Takes
    needs_corpus: bool
    tracks: tuple[str, ...]
    options: tuple[Option, ...]
    load: Callable[[SystemSpec, Runtime], System]
    pin: Pin = _unpinned
    inspect: Callable[[SystemSpec], Mapping[str, object]] = lambda _: {}
    web: bool = True
    members: Members = Members()
    encodes_queries: bool = True
    complete: Callable[[SystemSpec], SystemSpec] = lambda spec: spec
    option_problems: Callable[[str, Mapping[str, Value]], Iterable[EvaluationError]] = _no_problems

    def spec(
        self,
        location: str | None = None,
        revision: str | None = None,
        options: Mapping[str, object] | None = None,
        members: Sequence[SystemSpec] = (),
    ) -> SystemSpec:
        """A checked spec with every option filled in.

        Raises EvaluationError `SYSTEM-LOCATION`, `SYSTEM-MEMBERS`, `OPTION-UNKNOWN`, `OPTION-TYPE`,
        `OPTION-RANGE` or `OPTION-UNUSED`.
        """
        if problem := self._location_problem(location, revision):
            raise EvaluationError("SYSTEM-LOCATION", f"{self.name} {problem}; write {self.usage}")
        given = dict(options or {})
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                allowed = ", ".join(known) or "none"
                raise EvaluationError(
                    "OPTION-UNKNOWN", f"{self.name} has no option {name[:60]!r}; it has: {allowed}"
                )
        filled = {name: self.value_of(option, given, bool(location)) for name, option in known.items()}
        self.members.check(self.name, [member.kind for member in members])
        return self.complete(
            SystemSpec(self.name, location or None, revision or None, filled, tuple(members))
        )

    def value_of(self, option: Option, given: Mapping[str, object], located: bool) -> Value:
        """As given, else its default. `located`: a location is given to a kind that can do without.

        Raises EvaluationError `OPTION-TYPE`, `OPTION-RANGE` or `OPTION-UNUSED`.
        """
        fixed = option.located if located and self.takes == "vocabulary" else None
        value = option.checked(given.get(option.name, option.default if fixed is None else fixed))
        if fixed is not None and value != fixed:
            problem = f"option {option.name} does not apply where a model's vocabulary is taken"
            raise EvaluationError("OPTION-UNUSED", f"{problem}; set it to {fixed}")
        return value

    def has_model(self, location: str | None) -> bool:
        """Whether the location is that of a model, whose files are pinned and fetched."""
        return self.takes == "model" or (self.takes == "vocabulary" and bool(location))

    def _location_problem(self, location: str | None, revision: str | None) -> str | None:
        if self.takes == "vocabulary":
            return "has a revision, and no model that it is of" if revision and not location else None
        if self.takes == "nothing":
            return "takes no location" if location else None
        return None if location else f"needs a {self.takes}"

    @property
    def usage(self) -> str:
        return f"{self.name}{_PLACES[self.takes]}"

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)
