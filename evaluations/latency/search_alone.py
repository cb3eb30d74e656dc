"""Systems whose query vectors were made elsewhere: there is no encoding to time, so their search alone is.

Its times never stand under the names of whole queries: a total without encoding is not to be ranked beside
totals with it.
"""

from evaluations.systems.abilities import QueryPath
from evaluations.tracks import Findings

REASON = "query vectors were made elsewhere: only the search is timed"
PREFIX = "query_search_latency"  # of what is published nevertheless


def is_withheld(name: str, path: QueryPath) -> bool:
    """Whether a session's metric is not to be published of this path: all that would hold encoding."""
    return not path.is_whole and not name.startswith(PREFIX)


def as_details(found: Findings) -> Findings:
    """The numbers of a throughput, of searches: kept beside the metrics, which are None."""
    metrics = dict.fromkeys(found.metrics)
    reasons = dict.fromkeys(found.metrics, REASON)
    return Findings(metrics, reasons, {**found.details, "search_alone": dict(found.metrics)})
