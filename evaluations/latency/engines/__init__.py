"""Approximate engines, measured beside the exact search where their packages are installed.

None is a dependency, and none decides a row's numbers: each is shown with its recall against the exact one.
"""

from collections.abc import Mapping, Sequence

from evaluations.latency.engines import hnsw, seismic
from evaluations.latency.engines.base import Engine
from evaluations.systems.abilities import IndexForm

ENGINES: Mapping[IndexForm, Sequence[Engine]] = {
    "sparse": (seismic.ENGINE,),
    "dense": (hnsw.ENGINE,),
    "multi-vector": (),
}
