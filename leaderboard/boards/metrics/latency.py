"""How fast: times and rates of one machine, and ratios to references.

The ratio to matched references is compared across machines. That to BM25 is not: it is of other work than the
system's, and how these compare depends on the machine.
"""

from functools import partial

from .kinds import Across, Group, Metric, Scope, Style

_POINTS = {"p50": "median", "p95": "95th percentile", "p99": "99th percentile", "mean": "mean"}
_PARTS = {"": "", "_tokenise": " tokenise", "_encode": " encode", "_search": " search"}
_of_host = partial(Metric, group=Group.LATENCY, scope=Scope.TIMES)
_detail = partial(_of_host, on_board=False)


def _time(part: str, point: str) -> Metric:
    name, of = f"query{part}_latency_{point}_ms", _PARTS[part]
    return _of_host(
        name=name,
        label=f"Query{of} {point}",
        style=Style.MILLISECONDS,
        higher_is_better=False,
        help=f"One query, one thread, warm:{of or ' all of it'}, {_POINTS[point]}",
    )


def _under_load(point: str) -> Metric:
    return _detail(
        name=f"open_loop_latency_{point}_ms",
        label=f"Under load {point}",
        style=Style.MILLISECONDS,
        higher_is_better=False,
        help=f"At 70 % of the most, from when a query was due, {_POINTS[point]}",
    )


def _bytes(name: str, label: str, help: str, across: Across) -> Metric:
    return _detail(
        name=name, label=label, style=Style.BYTES, higher_is_better=False, across=across, help=help
    )


def _peak(name: str, label: str) -> Metric:
    """Of one process a dataset: the datasets do not hold theirs at once."""
    held = "Most that was held before the first query: loading, indexing, and encoding the documents unless"
    return _bytes(name, label, f"{held} their vectors were in the cache", Across.MAX)


def _ratio(name: str, label: str, help: str, scope: Scope) -> Metric:
    return Metric(name, label, Group.LATENCY, Style.TIMES, False, help=help, scope=scope)


def _rate(name: str, label: str, help: str) -> Metric:
    return _of_host(name=name, label=label, style=Style.NUMBER, higher_is_better=True, help=help)


METRICS = (
    _ratio(
        "latency_ratio_matched_p50",
        "× matched",
        "Time of a query over the matched references' in one session",
        Scope.RATIO,
    ),
    _ratio(
        "latency_ratio_bm25_p50", "× BM25", "Time of a query over BM25's, in the same session", Scope.TIMES
    ),
    *(_time(part, point) for part in _PARTS for point in _POINTS),
    _rate("queries_per_second", "Queries a second", "All cores, one query after the other on each"),
    _detail(
        name="open_loop_queries_per_second",
        label="Arrivals a second",
        style=Style.NUMBER,
        higher_is_better=None,
        help="Under load: 70 % of the queries a second",
    ),
    *(_under_load(point) for point in ("p50", "p95", "p99")),
    _rate("documents_per_second", "Docs a second", "Documents encoded a second, all cores"),
    _detail(
        name="index_build_s",
        label="Index built in",
        style=Style.SECONDS,
        higher_is_better=False,
        across=Across.SUM,
        help="Without encoding; of dense vectors by all cores, of others by one",
    ),
    _bytes("index_resident_bytes", "Index in memory", "As the search holds it", Across.SUM),
    _bytes("index_disk_bytes", "Index on disk", "As numpy's files", Across.SUM),
    _peak("peak_memory_bytes", "Peak memory"),
    _peak("peak_card_memory_bytes", "Peak card memory"),
    Metric(
        "latency_samples",
        "Timed queries",
        Group.LATENCY,
        Style.COUNT,
        None,
        help="Queries timed in the session",
    ),
)
OF_HOST = ("_ms", "_per_second", "_s")  # names of what holds for one machine only
