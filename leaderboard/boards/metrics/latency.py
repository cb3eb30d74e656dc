"""How fast: times and rates of one machine, and ratios to references, which are compared across machines."""

from .kinds import Across, Group, Metric, Style

_POINTS = {"p50": "median", "p95": "95th percentile", "p99": "99th percentile", "mean": "mean"}
_PARTS = {"": "", "_tokenise": " tokenise", "_encode": " encode", "_search": " search"}


def _time(part: str, point: str) -> Metric:
    name, of = f"query{part}_latency_{point}_ms", _PARTS[part]
    help = f"One query, one thread, warm:{of or ' all of it'}, {_POINTS[point]}"
    return Metric(
        name, f"Query{of} {point}", Group.LATENCY, Style.MILLISECONDS, False, help=help, of_host=True
    )


def _under_load(point: str) -> Metric:
    help = f"At 70 % of the most, from when a query was due, {_POINTS[point]}"
    name, label = f"open_loop_latency_{point}_ms", f"Under load {point}"
    return Metric(
        name, label, Group.LATENCY, Style.MILLISECONDS, False, help=help, of_host=True, on_board=False
    )


def _bytes(name: str, label: str, help: str) -> Metric:
    return Metric(
        name, label, Group.LATENCY, Style.BYTES, False, Across.SUM, help=help, of_host=True, on_board=False
    )


def _ratio(name: str, label: str, help: str) -> Metric:
    return Metric(name, label, Group.LATENCY, Style.TIMES, False, help=help)


def _rate(name: str, label: str, help: str) -> Metric:
    return Metric(name, label, Group.LATENCY, Style.NUMBER, True, help=help, of_host=True)


_BUILT = Metric(
    "index_build_s",
    "Index built in",
    Group.LATENCY,
    Style.SECONDS,
    False,
    Across.SUM,
    "Without encoding; of dense vectors by all cores, of others by one",
    of_host=True,
    on_board=False,
)

METRICS = (
    _ratio(
        "latency_ratio_matched_p50",
        "× matched",
        "Time of a query over the matched references' in one session",
    ),
    _ratio("latency_ratio_bm25_p50", "× BM25", "Time of a query over BM25's, in the same session"),
    *(_time(part, point) for part in _PARTS for point in _POINTS),
    _rate("queries_per_second", "Queries a second", "All cores, one query after the other on each"),
    *(_under_load(point) for point in ("p50", "p95", "p99")),
    _rate("documents_per_second", "Docs a second", "Documents encoded a second, all cores"),
    _BUILT,
    _bytes("index_resident_bytes", "Index in memory", "As the search holds it"),
    _bytes("index_disk_bytes", "Index on disk", "As numpy's files"),
    _bytes("peak_memory_bytes", "Peak memory", "Of loading, encoding and indexing"),
    _bytes("peak_card_memory_bytes", "Peak card memory", "Of loading, encoding and indexing"),
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
