"""What the references take on this host: measured before the first session and daily, given to each."""

import json
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from evaluations.errors import EvaluationFailed
from evaluations.latency.host import HostProfile, host_profile
from leaderboard.hosts import registry

from . import evaluator
from .evaluator import Limits, Watcher
from .sandbox import Step

BASELINE = "baseline.json"
CALIBRATION = "calibration.json"
SCHEMA = 1
# Two calibrations in a row that differ by more say something of the moment, not of the machine.
AGREEMENT = 0.05


class TooNoisy(Exception):  # noqa: N818 - a state of the machine, to be waited out
    """The host could not be calibrated: a session on it would say nothing."""

    def __init__(self, profile: str, reason: str) -> None:
        super().__init__(reason)
        self.profile, self.reason = profile, reason


def write_baseline(folder: Path, device: str, watcher: Watcher, limits: Limits) -> None:
    """The file for `--baseline`, after a calibration where one is due. To be called in this host's turn.

    Raises TooNoisy, EvaluationFailed, and what `watcher.check` raises.
    """
    profile = host_profile()
    registry.know(profile.hash, profile.facts)
    if registry.calibration_is_due(profile.hash):
        watcher.note("calibrating this host by the references")
        first, second = (_measured(folder, device, watcher, limits) for _ in range(2))
        _record(profile, first, second)
    content = {
        "schema": SCHEMA,
        "host": profile.to_dict(),
        "times_ms": registry.baseline(profile.hash),
        "measured": "the median of this host's calibrations",
    }
    (folder / BASELINE).write_text(json.dumps(content), encoding="utf-8")


def _record(profile: HostProfile, first: Mapping[str, float], second: Mapping[str, float]) -> None:
    """Two calibrations that agree count; otherwise they are kept with the reason. Raises TooNoisy."""
    reason = disagreement(first, second)
    registry.record_calibration(profile.hash, second, reason)
    if reason:
        raise TooNoisy(profile.hash, f"this host could not be calibrated: {reason}")


def disagreement(first: Mapping[str, float], second: Mapping[str, float]) -> str:
    """The reference that two calibrations differ in most, in words; empty where all agree."""
    apart = {name: abs(second[name] / first[name] - 1) for name in first if name in second}
    worst = max(apart, key=lambda name: apart[name], default="")
    if not worst or apart[worst] <= AGREEMENT:
        return ""
    return (
        f"{worst} took {first[worst]:.4g} ms and then {second[worst]:.4g} ms"
        f" ({apart[worst]:.1%} apart, limit {AGREEMENT:.0%})"
    )


def _measured(folder: Path, device: str, watcher: Watcher, limits: Limits) -> dict[str, float]:
    evaluator.run(_step(folder, device), folder, watcher, limits)
    try:
        found: dict[str, float] = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))["times_ms"]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationFailed("CALIBRATION", f"this host's calibration left no times: {error}") from error
    return found


def _step(folder: Path, device: str) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "host", "--write", str(folder / CALIBRATION)]
    arguments += ["--device", "cuda" if device == "gpu" else "cpu"]
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    return Step("calibrate", arguments, trusted=True, variables=models)
