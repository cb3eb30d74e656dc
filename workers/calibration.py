"""What the references take on this host: measured at the first latency session and daily, given to each."""

import json
from pathlib import Path

from django.conf import settings

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.latency.host import host_profile
from leaderboard.hosts import registry

from . import evaluator
from .evaluator import Limits, Watcher
from .sandbox import Step

BASELINE = "baseline.json"
CALIBRATION = "calibration.json"
SCHEMA = 1


def write_baseline(folder: Path, device: str, watcher: Watcher, limits: Limits) -> None:
    """The file for `--baseline`, after a calibration where one is due. To be called in this host's turn.

    Raises EvaluationFailed, and what `watcher.check` raises.
    """
    profile = host_profile()
    registry.know(profile.hash, profile.facts)
    if registry.calibration_is_due(profile.hash):
        _calibrate(profile.hash, folder, device, watcher, limits)
    content = {
        "schema": SCHEMA,
        "host": profile.to_dict(),
        "times_ms": registry.baseline(profile.hash),
        "measured": "the median of this host's calibrations",
    }
    (folder / BASELINE).write_text(json.dumps(content), encoding="utf-8")


def _calibrate(profile: str, folder: Path, device: str, watcher: Watcher, limits: Limits) -> None:
    watcher.note("calibrating this host by the references")
    try:
        evaluator.run(_step(folder, device), folder, watcher, limits)
        found = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
    except (EvaluationError, OSError, ValueError) as error:
        registry.record_calibration(profile, {}, str(error))
        raise EvaluationFailed("CALIBRATION", f"this host could not be calibrated: {error}") from error
    registry.record_calibration(profile, found["times_ms"])


def _step(folder: Path, device: str) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "host", "--write", str(folder / CALIBRATION)]
    arguments += ["--device", "cuda" if device == "gpu" else "cpu"]
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    return Step("calibrate", arguments, trusted=True, variables=models)
