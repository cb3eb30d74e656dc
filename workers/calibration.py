"""What the references take on this host: measured before the first session and daily, given to each."""

import json
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from evaluations.errors import EvaluationFailed
from evaluations.latency.host import HostProfile, host_profile
from leaderboard.hosts import registry

from . import evaluator
from .evaluator import Limits, Watcher
from .sandbox import Step

Times = dict[str, float]  # milliseconds by reference and statistic

BASELINE = "baseline.json"
CALIBRATION = "calibration.json"
SCHEMA = 1
# Times of two calibrations in a row that differ by more say something of the moment, not of the machine.
AGREEMENT = 0.05
MOST_CALIBRATIONS = 8  # at a time, until each time has agreed with the one before


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
        _record(profile, lambda: _measured(folder, device, watcher, limits))
    content = {
        "schema": SCHEMA,
        "host": profile.to_dict(),
        "times_ms": registry.baseline(profile.hash),
        "measured": "the median of this host's calibrations",
    }
    (folder / BASELINE).write_text(json.dumps(content), encoding="utf-8")


def _record(profile: HostProfile, measured: Callable[[], Times]) -> None:
    """Each time counts that two calibrations in a row agree in; all are kept with why where one never does.

    Raises TooNoisy.
    """
    last, counted, apart = measured(), dict[str, float](), dict[str, str]()
    for _ in range(MOST_CALIBRATIONS - 1):
        before, last = last, measured()
        apart = {name: why for name, why in disagreements(before, last).items() if name not in counted}
        agreed = before.keys() & last.keys() - apart.keys() - counted.keys()
        counted |= {name: last[name] for name in agreed}
        if not apart:
            break
    reason = "; ".join(apart.values())
    registry.record_calibration(profile.hash, last | counted, reason)
    if reason:
        raise TooNoisy(profile.hash, f"this host could not be calibrated: {reason}")


def disagreements(first: Times, second: Times) -> dict[str, str]:
    """What two calibrations differ in by too much, by name, in words."""
    apart = {name: abs(time / first[name] - 1) for name, time in second.items() if name in first}
    return {
        name: f"{name} took {first[name]:.4g} ms and then {second[name]:.4g} ms"
        f" ({share:.1%} apart, limit {AGREEMENT:.0%})"
        for name, share in apart.items()
        if share > AGREEMENT
    }


def _measured(folder: Path, device: str, watcher: Watcher, limits: Limits) -> Times:
    evaluator.run(_step(folder, device), folder, watcher, limits)
    try:
        found: Times = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))["times_ms"]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationFailed("CALIBRATION", f"this host's calibration left no times: {error}") from error
    return found


def _step(folder: Path, device: str) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "host", "--write", str(folder / CALIBRATION)]
    arguments += ["--device", "cuda" if device == "gpu" else "cpu"]
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    return Step("calibrate", arguments, trusted=True, stage="calibrating", variables=models)
