"""What is timed after a session was accepted: whether the machine was still well meanwhile.

Throughput and engines take up to half a minute more, and their numbers are ranked too. What failed is left
out; the session's own times passed their gates and stay.
"""

from collections.abc import Callable

from evaluations.latency import baseline, gates
from evaluations.latency.baseline import Baseline
from evaluations.latency.card import CardWatch, used_card
from evaluations.latency.conditions import Counters
from evaluations.latency.quiet import quiet
from evaluations.latency.session import Session, against_baseline, look_at
from evaluations.tracks import Findings

Withhold = Callable[[Findings, str], Findings]


def checked(
    name: str,
    session: Session,
    stored: Baseline | None,
    texts: list[str],
    measure: Callable[[], Findings],
    withhold: Withhold,
) -> Findings:
    """What `measure` finds, or what `withhold` leaves of it, given the reason. Details: `NAME_checks`.

    The counters go around it. A calibration follows, and on a card a look at it while it answers `texts`.
    """
    card = CardWatch(used_card()) if session.card else None
    before = Counters.read()
    found = measure()
    with quiet(session.settings.threads):
        look_at(card, session.path, texts)
        calibration = baseline.calibrate(session.calibrated, session.settings.threads)
    conditions = Counters.read().since(before)
    judged = [
        *against_baseline(session, stored, calibration, f"after the {name}"),
        *gates.processor_gates(conditions),
        *(gates.card_gates(card.looks) if card else ()),
    ]
    reason = gates.rejection(judged)
    kept = found if reason is None else withhold(found, f"the machine was not well meanwhile: {reason}")
    checks = {
        "gates": [gate.to_dict() for gate in judged],
        "calibration_ms": calibration,
        "conditions": conditions,
    }
    return kept | Findings(details={f"{name}_checks": checks})
