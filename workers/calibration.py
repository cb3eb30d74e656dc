"""What the references take on this host: measured before sessions that need them, once a day."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from django.conf import settings

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.latency.baseline import deciding_versions
from evaluations.latency.host import HostProfile, host_profile
from leaderboard.hosts import registry

from . import evaluator
from .evaluator import Limits, Watcher
from .needs import Needs
from .sandbox import Step

logger = logging.getLogger(__name__)

Times = dict[str, float]  # milliseconds by reference and statistic

BASELINE = "baseline.json"
CALIBRATION = "calibration.json"
SCHEMA = 1
# Times of two calibrations in a row that differ by more say something of the moment, not of the machine.
AGREEMENT = 0.05
MOST_CALIBRATIONS = 5  # at a time: with more, two of a noisy machine agree by chance


class HostUnfit(Exception):  # noqa: N818 - a state of the machine, to be waited out
    """The host could not be calibrated, or is not the one that it was: a session on it would say nothing."""

    def __init__(self, profile: str, reason: str) -> None:
        super().__init__(reason)
        self.profile, self.reason = profile, reason


def write_baseline(folder: Path, needs: Needs, watcher: Watcher) -> HostProfile:
    """The file for `--baseline`, after a calibration where one is due. To be called in this host's turn.

    Returns the profile that the session must be of. Raises HostUnfit, and what `watcher.check` raises.
    """
    profile = host_profile()
    versions = deciding_versions(profile.versions)
    registry.know(profile.hash, profile.facts)
    if registry.calibration_is_due(profile.hash, needs.references, versions):
        watcher.note("calibrating this host by the references")
        _record(profile, needs, lambda: _measured(folder, profile, needs, watcher))
    content = {
        "schema": SCHEMA,
        "host": profile.to_dict(),
        "times_ms": registry.baseline(profile.hash, versions),
        "measured": "the median of this host's calibrations",
    }
    (folder / BASELINE).write_text(json.dumps(content), encoding="utf-8")
    return profile


def check_host(found: str, profile: HostProfile) -> None:
    """Raises HostUnfit for times of another profile: a baseline says nothing of them, and nobody knows it."""
    if found != profile.hash:
        seen = f"measured on host profile {found or 'unknown'}, while the worker's is {profile.hash}"
        raise HostUnfit(profile.hash, f"{seen}: the machine changed meanwhile, or its card did not answer")


def _record(profile: HostProfile, needs: Needs, measured: Callable[[], Times]) -> None:
    """All are kept, with why they do not count where a reference that is needed never agreed.

    Raises HostUnfit, and what `watcher.check` raises.
    """
    try:
        times, reason = _agreed(needs.references, measured)
    except EvaluationError as error:  # the references are ours, and so is whatever is wrong with them
        logger.warning("calibration of host profile %s: %s", profile.hash, error)
        times, reason = {}, f"{error.code}: {error.message.partition('. ')[0]}"
    registry.record_calibration(profile.hash, times, reason, deciding_versions(profile.versions))
    if reason:
        raise HostUnfit(profile.hash, f"this host could not be calibrated: {reason}")


def _agreed(references: Iterable[str], measured: Callable[[], Times]) -> tuple[Times, str]:
    """What each reference took where it first agreed with the time before, and which never did, in words."""
    wanted, last = frozenset(references), measured()
    counted: dict[str, Times] = {}
    missing: dict[str, str] = {}
    for _ in range(MOST_CALIBRATIONS - 1):
        before, last = last, measured()
        apart = disagreements(before, last)
        both = by_reference(before).keys() & by_reference(last).keys()
        counted = {name: by_reference(last)[name] for name in both - apart.keys()} | counted
        absent = {name: f"{name} was not measured" for name in wanted}
        missing = {name: (absent | apart)[name] for name in sorted(wanted - counted.keys())}
        if not missing:
            return _joined(counted.values()), ""
    return last | _joined(counted.values()), "; ".join(missing.values())


def disagreements(first: Times, second: Times) -> dict[str, str]:
    """References that two calibrations differ in by too much, in words: all statistics of one must agree."""
    apart: dict[str, str] = {}
    for name, time in second.items():
        share = abs(time / first[name] - 1) if name in first else 0.0
        if share > AGREEMENT:
            took = f"{name} took {first[name]:.4g} ms and then {time:.4g} ms"
            apart.setdefault(_reference(name), f"{took} ({share:.1%} apart, limit {AGREEMENT:.0%})")
    return apart


def by_reference(times: Times) -> Mapping[str, Times]:
    """`bm25 cpu 1 p50` and `bm25 cpu 1 mean` under `bm25 cpu 1`."""
    found: dict[str, Times] = {}
    for name, time in times.items():
        found.setdefault(_reference(name), {})[name] = time
    return found


def _reference(name: str) -> str:
    return name.rpartition(" ")[0]


def _joined(each: Iterable[Times]) -> Times:
    return {name: time for times in each for name, time in times.items()}


def _measured(folder: Path, profile: HostProfile, needs: Needs, watcher: Watcher) -> Times:
    """Within limits of its own: what is wrong with the host is not on the submission's time."""
    evaluator.run(_step(folder, needs), folder, watcher, Limits.of_settings())
    try:
        content = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
        host, found = content["host"]["hash"], {name: float(ms) for name, ms in content["times_ms"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationFailed("CALIBRATION", f"the calibration left no times: {error!r}") from error
    check_host(host, profile)
    return found


def _step(folder: Path, needs: Needs) -> Step:
    arguments = [settings.EVALUATOR_MODULE, "host", "--write", str(folder / CALIBRATION)]
    arguments += ["--device", needs.device, "--precision", ",".join(needs.precisions) or "none"]
    models = {"SPARSEBOARD_MODELS": settings.MODELS}
    return Step("calibrate", arguments, trusted=True, stage="calibrating", variables=models)
