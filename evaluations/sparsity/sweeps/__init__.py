"""Sweeps of operating points: one system, changed step by step, and what each step costs in quality.

A sweep is one file that ends in a `Sweep` (`base.py` has the words), registered in `registry.py`. `measured`
makes the points, in the process that runs the model; `judged` scores them, in the process that has the qrels.
"""

from evaluations.sparsity.sweeps.base import Sweep, Values, Variant
from evaluations.sparsity.sweeps.checkpoints import checkpoints_of, names_of, parse_checkpoints
from evaluations.sparsity.sweeps.grammar import Curve, parse_sweep, parse_sweeps, sweep_of, sweeps_for
from evaluations.sparsity.sweeps.judging import Judged, judged
from evaluations.sparsity.sweeps.measuring import Bench, measured
from evaluations.sparsity.sweeps.points import FoundCurve, Point, curves_of, run_name, run_names
from evaluations.sparsity.sweeps.registry import SWEEPS
from evaluations.sparsity.sweeps.subject import LoadedSubject, device_of
from evaluations.sparsity.sweeps.tables import SWEEPS as SWEEPS_TABLE
from evaluations.sparsity.sweeps.tables import SWEEPS_PER_QUERY
from evaluations.sparsity.sweeps.timing import Stopwatch
from evaluations.sparsity.sweeps.vectors import Encoded, Searcher
from evaluations.sparsity.sweeps.verdicts import verdict_lines

__all__ = [
    "SWEEPS", "SWEEPS_PER_QUERY", "SWEEPS_TABLE", "Bench", "Curve", "Encoded", "FoundCurve", "Judged",
    "LoadedSubject", "Point", "Searcher", "Stopwatch", "Sweep", "Values", "Variant",
    "checkpoints_of", "curves_of", "device_of", "judged", "measured", "names_of", "parse_checkpoints",
    "parse_sweep", "parse_sweeps", "run_name", "run_names", "sweep_of", "sweeps_for", "verdict_lines",
]  # fmt: skip
