"""A latency session as the system's page shows it: on which machine, beside what, how sure; or why not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import Q

from leaderboard.submissions.models import Evaluation, State, Track

from .metrics import Metric, describe
from .models import Entry, Measurement

RATE = "queries_per_second"
SHOWN = (
    *("latency_ratio_matched_p50", "latency_ratio_bm25_p50"),
    *(f"query_latency_{point}_ms" for point in ("p50", "p95", "p99", "mean")),
    *(f"query_{part}_latency_p50_ms" for part in ("tokenise", "encode", "search")),
    *(RATE, "open_loop_queries_per_second"),
    *(f"open_loop_latency_{point}_ms" for point in ("p50", "p95", "p99")),
    *("documents_per_second", "index_build_s", "index_resident_bytes", "index_disk_bytes"),
    *("peak_memory_bytes", "peak_card_memory_bytes"),
)


@dataclass(frozen=True)
class Time:
    """A number of a session, with its 95 % interval where it has one."""

    metric: Metric
    value: float | None
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class Reference:
    name: str
    p50_ms: float
    variation: float | None


@dataclass(frozen=True)
class Engine:
    """An engine beside our exact search, over the same vectors."""

    name: str
    recall: float | None
    p50_ms: float | None
    exact_p50_ms: float | None


@dataclass(frozen=True)
class Session:
    """`facts`: label to text, in reading order."""

    dataset: str
    host: str
    host_title: str
    times: Sequence[Time]
    references: Sequence[Reference]
    engines: Sequence[Engine]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Withheld:
    """A session that is not there: rejected, failed, or still to come."""

    dataset: str
    why: str
    dataset_id: UUID


def sessions_of(evaluations: Iterable[Evaluation]) -> list[Session]:
    """Of the evaluations that are latency's; their measurements are loaded."""
    return [_session(row) for row in evaluations if row.track == Track.LATENCY]


def without_times(entries: Iterable[Entry]) -> Q:
    """The latency evaluations of these rows that have left no times."""
    absent = ~Q(state=State.SUCCEEDED)
    return absent & Q(submission__in=[entry.submission_id for entry in entries], track=Track.LATENCY)


def withheld_of(evaluations: Iterable[Evaluation]) -> dict[UUID, list[Withheld]]:
    """By submission, of evaluations `without_times`; their datasets are loaded."""
    found: dict[UUID, list[Withheld]] = {}
    for row in sorted(evaluations, key=lambda row: row.dataset.name):
        found.setdefault(row.submission_id, []).append(Withheld(row.dataset.name, _why(row), row.dataset_id))
    return found


def _why(row: Evaluation) -> str:
    if row.state == State.FAILED:
        return row.error_message
    last = row.rejections[-1]["reason"] if row.rejections else ""
    return f"{row.state}{f'; the last session was rejected: {last}' if last else ''}"


def _session(row: Evaluation) -> Session:
    report: Mapping[str, Any] = row.report or {}
    found = report.get("tracks", {}).get(Track.LATENCY.value, {})
    measured = {each.metric: each for each in row.measurements.all()}
    facts = found.get("host", {}).get("facts", {})
    return Session(
        dataset=row.dataset.name,
        host=row.host,
        host_title=f"{facts.get('cpu', 'unknown processor')}, {facts.get('cores', '?')} cores",
        times=list(_times(measured, found)),
        references=[
            Reference(name, float(each["p50_ms"]), each.get("p50_variation"))
            for name, each in found.get("references", {}).items()
        ],
        engines=[_engine(each) for each in found.get("engines", [])],
        facts={label: text for label, text in _facts(found, report) if text},
    )


def _times(measured: Mapping[str, Measurement], found: Mapping[str, Any]) -> Iterator[Time]:
    for name in SHOWN:
        if name in measured:
            yield _time(measured[name])
        if name == RATE:
            yield from _rates(found)


def _rates(found: Mapping[str, Any]) -> Iterator[Time]:
    """Of each number of clients; of searches alone where these are all that was timed."""
    what = "Searches" if _is_search(found) else "Queries"
    rates = {int(clients): float(rate) for clients, rate in found.get("closed_loop", {}).items()}
    for clients, rate in sorted(rates.items()):
        label = f"{what} a second, {clients} client{'s' if clients > 1 else ''}"
        help = "Each client asks again as soon as it is answered"
        yield Time(replace(describe(RATE), label=label, help=help), rate, None, None, "")


def _time(row: Measurement) -> Time:
    return Time(describe(row.metric), row.value, row.low, row.high, row.reason)


def _engine(found: Mapping[str, Any]) -> Engine:
    return Engine(
        f"{found.get('engine', '')} {found.get('version', '')}".strip(),
        found.get("recall@10"),
        found.get("search_latency_p50_ms"),
        found.get("exact_search_latency_p50_ms"),
    )


def _is_search(found: Mapping[str, Any]) -> bool:
    return bool(found.get("system", {}).get("encoder") == "given")


def _given(found: Mapping[str, Any]) -> str:
    missing = found.get("queries_without_vector")
    left = f"; {missing:,} queries have no vector and find nothing" if missing else ""
    return f"query vectors were made elsewhere{left}"


def _cached(report: Mapping[str, Any]) -> str:
    cached = report.get("provenance", {}).get("runtime", {}).get("texts_from_cache") or 0
    return f"without encoding {cached:,} texts, whose vectors were in the cache" if cached else ""


def _facts(found: Mapping[str, Any], report: Mapping[str, Any]) -> list[tuple[str, str]]:
    session, queries = found.get("session", {}), found.get("queries", {})
    looped = "; looped, since there are too few distinct ones" if queries.get("looped") else ""
    overhead = found.get("harness_overhead_p50_us")
    gates = found.get("gates", [])
    passed = sum(gate.get("state") == "passed" for gate in gates)
    unknown = [str(gate.get("name")) for gate in gates if gate.get("state") == "unknown"]
    threads, first = session.get("threads", ""), session.get("k", "")
    left = f"; not known here: {', '.join(unknown)}" if unknown else ""
    return [
        ("Timed", f"the search alone: {_given(found)}" if _is_search(found) else ""),
        ("Device", f"{session.get('device', '')}, {threads} thread(s), the first {first}"),
        ("Engine", str(session.get("engine", ""))),
        ("Queries", f"{queries.get('timed', 0):,} timed of {queries.get('distinct', 0):,} distinct{looped}"),
        ("Matched reference", str(found.get("matched_reference", ""))),
        ("Harness", f"{overhead:.2f} µs a query with an empty system" if overhead is not None else ""),
        ("Memory", _cached(report)),
        ("Gates", f"{passed} passed{left}" if gates else ""),
    ]
