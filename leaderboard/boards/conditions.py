"""What must be equal for times to be ranked or averaged together, and how a page says what is not.

A session's own facts are compared one by one. Whether its queries were looped is none of them: that depends
on how fast the system is. Times also need one host; ratios to matched references do not. They need one
reference encoder instead, where there is one among the references: a system without a neural query encoder
has none, and its ratio stands beside those of any.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluations.protocol import ENCODER_MARK, LOOPED, SESSION_FACTS, Fact

HOST, ENCODER = "host_profile", "encoder"
FACTS = (*SESSION_FACTS, ENCODER)
WORDS = {
    HOST: "host",
    "device": "device",
    "threads": "threads",
    "k": "k",
    "engine": "engine",
    "query_loop": "query loop",
    "references": "references",
    ENCODER: "reference encoder",
}
_LONG = {
    "query_loop": "with another query loop",
    "references": "beside other references",
    ENCODER: "beside another reference encoder",
}  # told to differ, and not quoted


@dataclass(frozen=True)
class Conditions:
    """Of one session, or of several: `facts` are those in which all agree, `differing` the others' names."""

    facts: Mapping[str, Fact]
    differing: tuple[str, ...] = ()
    looped: bool = False

    @classmethod
    def of(cls, protocol: Mapping[str, Any]) -> "Conditions | None":
        """Of a report's latency protocol; None where it lacks a fact."""
        if any(name not in protocol for name in SESSION_FACTS):
            return None
        loop = str(protocol["query_loop"])
        references, _, encoder = str(protocol["references"]).partition(ENCODER_MARK)
        facts = {name: protocol[name] for name in SESSION_FACTS}
        facts |= {"query_loop": loop.removesuffix(LOOPED), "references": references, ENCODER: encoder}
        return cls(facts, looped=loop.endswith(LOOPED))

    @property
    def host(self) -> str:
        return str(self.facts.get(HOST, ""))

    @property
    def times_key(self) -> str:
        """Times with equal keys may be compared; empty where these hold for no single set of conditions."""
        return "" if set(self.differing) - {ENCODER} else _key(self.facts, but=(ENCODER,))

    @property
    def ratio_key(self) -> str:
        """The same of ratios to matched references of one encoder, which may be of several hosts."""
        return "" if set(self.differing) - {HOST} else _key(self.facts, but=(HOST, ENCODER))

    @property
    def no_mean(self) -> str:
        """Why there is no mean over these sessions; empty where there is one."""
        words = [WORDS[name] for name in self.differing]
        return f"the datasets' sessions differ in {' and '.join(words)}: no mean is taken" if words else ""

    def to_json(self) -> dict[str, Any]:
        return {**self.facts, "looped": self.looped} if self.facts or self.differing else {}


NONE = Conditions({})


def agreed(sessions: Sequence[Conditions]) -> Conditions:
    """`NONE` where there are no sessions."""
    differing = tuple(name for name in FACTS if len({session.facts[name] for session in sessions}) > 1)
    facts = sessions[0].facts if sessions else {}
    return Conditions(
        {name: fact for name, fact in facts.items() if name not in differing},
        differing,
        any(session.looped for session in sessions),
    )


def left_out(own: Mapping[str, Any], shown: Mapping[str, Any], *, across_hosts: bool) -> str:
    """Why a number measured under the first conditions does not stand beside those of the second."""
    names = [name for name in FACTS if name != (HOST if across_hosts else ENCODER)]
    said = [_difference(name, own, shown) for name in names if own.get(name) != shown.get(name)]
    return f"timed {', '.join(said)}: not ranked beside these"


def described(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    """The named facts in words, such as `device cuda, threads 1`."""
    return ", ".join(f"{WORDS[name]} {_short(name, facts.get(name))}" for name in names)


def _difference(name: str, own: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    if name == HOST:
        return "on another host" if own.get(HOST) else "on several hosts"
    if name in _LONG:
        return _LONG[name]
    return f"with {described(own, [name])} instead of {_short(name, shown.get(name))}"


def _short(name: str, fact: Fact) -> str:
    """Of the references their version."""
    return str(fact).partition(":")[0] if name == "references" else str(fact)


def _key(facts: Mapping[str, Fact], *, but: Sequence[str]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the facts as canonical JSON; empty without facts."""
    kept = {name: fact for name, fact in facts.items() if name not in but}
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12] if kept else ""
