"""Which times a board shows: those of one set of conditions, since no others can be ranked with them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from evaluations.protocol import SESSION_FACTS
from leaderboard.catalog.models import Benchmark
from leaderboard.hosts.models import HostProfile

from .conditions import ENCODER, HOST, described, left_out
from .metrics import Scope, describe
from .models import Entry
from .timing import Withheld

SEVERAL_HOSTS = "several hosts"
NOT_ASKED = "the latency track was not asked for"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class TimesChoice:
    """Conditions whose times a board can show, and how many of its rows have them.

    `profile`: the host's; empty where each of these rows was timed on several hosts, so that they have ratios
    only. `title`: host, device where it is a card, and what tells these conditions from others here. `facts`
    name the reference encoder of most of the ratios.
    """

    key: str
    ratio_key: str
    profile: str
    title: str
    rows: int
    facts: Facts


def choices(benchmark: Benchmark) -> list[TimesChoice]:
    """Those of the board's rows, most rows first; those of ratios alone last. At most two queries."""
    current = Entry.objects.filter(benchmark=benchmark, is_current=True).exclude(ratio_key="")
    rows = list(current.order_by().values_list("times_key", "ratio_key", "conditions"))
    timed = {ratio for times, ratio, _ in rows if times}
    counted = Counter((times, ratio) for times, ratio, _ in rows if times or ratio not in timed)
    facts: dict[tuple[str, str], Facts] = {
        (times, ratio): {**(found or {}), ENCODER: _encoder(rows, times, ratio)}
        for times, ratio, found in rows
    }
    most_first = sorted(counted, key=lambda keys: (not keys[0], -counted[keys], keys))
    titles = _titles([facts[keys] for keys in most_first])
    return [
        _choice(*keys, facts[keys], title, counted[keys])
        for keys, title in zip(most_first, titles, strict=True)
    ]


def _encoder(rows: Sequence[tuple[str, str, Facts | None]], times: str, ratio: str) -> str:
    """That of most ratios under equal conditions, those of the host itself before others; else empty."""
    found: Counter[str] = Counter()
    for own, other, facts in rows:
        encoder = (facts or {}).get(ENCODER, "")
        if other == ratio and encoder:
            found[encoder] += len(rows) if own == times else 1
    return min(found, key=lambda encoder: (-found[encoder], encoder), default="")


def _choice(times: str, ratio: str, facts: Facts, title: str, rows: int) -> TimesChoice:
    return TimesChoice(times or ratio, ratio, facts.get(HOST, ""), title, rows, facts)


def chosen(found: Sequence[TimesChoice], key: str = "", host: str = "") -> TimesChoice | None:
    """The one of that key, else the first of that host, else the first; None where nothing was timed."""
    for choice in found:
        if choice.key == key:
            return choice
    return next((choice for choice in found if choice.profile == host), next(iter(found), None))


def shown_metrics(entry: Entry, shown: TimesChoice | None) -> dict[str, float]:
    """Those of an entry that may stand beside the times that are shown."""
    return {name: value for name, value in entry.metrics.items() if _is_shown(name, entry, shown)}


def missing_metrics(entry: Entry, shown: TimesChoice | None) -> dict[str, str]:
    """Metrics that the entry's results know and its row does not show, each with the reason."""
    hidden = [name for name in entry.metrics if not _is_shown(name, entry, shown)]
    own, beside = entry.conditions or {}, shown.facts if shown else {}
    why = {name: left_out(own, beside, across_hosts=describe(name).scope is Scope.RATIO) for name in hidden}
    return {**entry.reasons, **why}


def untimed(entry: Entry, withheld: Sequence[Withheld], datasets: Iterable[UUID]) -> str:
    """Why a row lacks times that its results say nothing of; empty where every session is there."""
    of_board = set(datasets)
    absent = [session for session in withheld if session.dataset_id in of_board]
    if absent:
        more = f" (and {len(absent) - 1} more datasets without times)" if len(absent) > 1 else ""
        return f"no times on {absent[0].dataset}: {absent[0].why}{more}"
    return "" if entry.conditions else NOT_ASKED


def _is_shown(name: str, entry: Entry, shown: TimesChoice | None) -> bool:
    scope = describe(name).scope
    if scope is Scope.ANYWHERE:
        return True
    if shown is None:
        return False
    if scope is Scope.RATIO:
        encoder = (entry.conditions or {}).get(ENCODER)
        return bool(entry.ratio_key == shown.ratio_key) and encoder in ("", shown.facts[ENCODER])
    return bool(entry.times_key == shown.key)


def _titles(conditions: Sequence[Facts]) -> list[str]:
    hosts = HostProfile.objects.in_bulk([found[HOST] for found in conditions if HOST in found])
    return [
        _title(found, [other for other in conditions if other.get(HOST) == found.get(HOST)], hosts)
        for found in conditions
    ]


def _title(facts: Facts, among: Sequence[Facts], hosts: Mapping[str, HostProfile]) -> str:
    """`among`: of the same host, to be told from."""
    key = str(facts.get(HOST, ""))
    host = hosts[key].title if key in hosts else key or SEVERAL_HOSTS
    telling = [
        name
        for name in SESSION_FACTS
        if name != HOST and (len({each.get(name) for each in among}) > 1 or _is_card(name, facts))
    ]
    return f"{host}, {described(facts, telling)}" if telling else host


def _is_card(name: str, facts: Facts) -> bool:
    return name == "device" and facts.get(name) != "cpu"
