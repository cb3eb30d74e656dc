"""What a curve's knee and drop mean, in words."""

from collections.abc import Mapping
from typing import Any


def verdict_lines(curve: Mapping[str, Any]) -> list[str]:
    """Of a judged curve as the report has it; none before it is judged."""
    return [] if "knee" not in curve else [_knee(curve), _drop(curve)]


def _knee(curve: Mapping[str, Any]) -> str:
    knee = curve["knee"]
    if knee is None:
        return f"no knee: {curve['knee_reason']}"
    confirmed = "confirmed" if knee["confirmed"] else "not confirmed"
    return (
        f"knee at {knee['value']} (level {knee['level']:.1%}, change {knee['change']:+.2%}):"
        f" {confirmed}, 95 % lower bound {knee['lower_bound']:+.2%}"
    )


def _drop(curve: Mapping[str, Any]) -> str:
    drop = curve["drop"]
    if drop is None:
        return f"no drop: {curve['drop_reason']}"
    return f"drop from {drop['from_value']} to {drop['to_value']}: {drop['loss']:.1%} of the unmodified score"
