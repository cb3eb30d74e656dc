"""Reproducing stored scores before a worker's results count: the references on `mini`."""

import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from evaluations.errors import EvaluationError
from evaluations.reference_scores import ReferenceScore
from evaluations.report import read_report
from leaderboard.hosts.registry import Reproduction

from . import evaluator
from .evaluator import Limits
from .heartbeat import ShuttingDown
from .host import stopping
from .sandbox import Step

DATASET = "mini"
# That machine has no way to the model: it is no evidence against it, and shown as what it is.
UNAVAILABLE = {"HUB-UNREACHABLE", "MODEL-MISSING"}


class _Quiet:
    """Nobody watches a check; it ends where the worker is to stop."""

    def check(self) -> None:
        if stopping.is_set():
            raise ShuttingDown

    def progress(self, stage: str, share: float | None) -> None: ...

    def note(self, line: str) -> None: ...


def reproduction(reference: ReferenceScore, device: str) -> Reproduction:
    """What this machine makes of one of `REFERENCE_SCORES`. Raises ShuttingDown."""
    folder = Path(tempfile.mkdtemp(prefix="sparseboard-baseline-"))
    try:
        return _reproduction(reference, device, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reproduction(reference: ReferenceScore, device: str, folder: Path) -> Reproduction:
    expected = (reference.system, reference.metric, reference.expected, reference.tolerance)
    try:
        evaluator.run(_step(reference, device, folder), folder, _Quiet(), Limits.of_settings())
        measured = read_report(folder / "out").tracks["retrieval"].metrics[reference.metric]
    except EvaluationError as error:
        return Reproduction(*expected, None, str(error), tried=error.code not in UNAVAILABLE)
    return Reproduction(*expected, measured)


def _step(reference: ReferenceScore, device: str, folder: Path) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "evaluate", "--system", reference.system, "--dataset", DATASET]
    arguments += ["--device", "cuda" if device == "gpu" else "cpu", "--tracks", "retrieval"]
    arguments += ["--out", str(folder / "out"), "--json-progress"]
    # Ours, not a submitter's: it may have the qrels, and fetch the model once.
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    return Step("baseline", arguments, trusted=True, network=True, variables=models)
