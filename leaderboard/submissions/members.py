"""Members of a system made of others: which can be chosen, and what becomes of those that were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluations.errors import EvaluationError
from evaluations.systems import KINDS, WEB_KINDS, Kind
from leaderboard.accounts.models import User
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions import earlier, options
from leaderboard.submissions.earlier import Offered, unfit
from leaderboard.submissions.refusals import Problems

MOST_NAMED = 32  # members of one request that are looked at: more than any kind takes


@dataclass(frozen=True)
class MemberChoice:
    """A member as it was asked for: an earlier submission's system, or a kind that needs no files."""

    submission: str = ""
    kind: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"submission": self.submission, "kind": self.kind, "options": dict(self.options)}


def member_field(place: int) -> str:
    """The form's field for a member; the first is 1."""
    return f"member-{place}"


def plain_kinds(kind: Kind) -> list[Kind]:
    """Those that can be members by their name alone: BM25."""
    allowed = (WEB_KINDS[name] for name in kind.members.kinds if name in WEB_KINDS)
    return [each for each in allowed if each.takes in ("nothing", "vocabulary")]


def offered(
    kind: Kind, benchmark: Benchmark, datasets: Sequence[Dataset], viewer: User, typed: Mapping[str, str]
) -> list[Offered]:
    """What a person may choose from: BM25, their own submissions, and those on this board, by name.

    `typed`: a form's fields so far; what is chosen in them stays, whatever is searched for.
    """
    plain = [Offered(each.name, f"{each.title} with its settings as they are") for each in plain_kinds(kind)]
    chosen = [typed.get(member_field(place), "") for place in range(1, kind.members.maximum + 1)]
    word = typed.get(earlier.SEARCH, "")
    found = earlier.offered(kind.members.kinds, benchmark, datasets, viewer, chosen=chosen, word=word)
    return [*plain, *found]


def resolve(
    kind: Kind, asked: Sequence[MemberChoice], datasets: Sequence[Dataset], problems: Problems
) -> tuple[Part, ...]:
    """Each member's whole spec as it is now. What is wrong is said at the member's own field."""
    parts: list[Part] = []
    for place, choice in enumerate(asked[:MOST_NAMED], start=1):
        try:
            parts.append(_part(kind, choice, datasets))
        except EvaluationError as error:
            problems.add(member_field(place), error.message)
    wanted = kind.members
    if not wanted.minimum <= len(asked) <= wanted.maximum:
        place = min(len(asked) + 1, wanted.maximum)
        said = f"{kind.title} needs {wanted.wanted}; {len(asked)} given."
        problems.add(member_field(place) if wanted.maximum else "members", _too_many(kind, said))
    return tuple(parts)


def _too_many(kind: Kind, said: str) -> str:
    return said if kind.members.maximum else f"{kind.title} is made of no other systems; leave them out."


def _part(kind: Kind, choice: MemberChoice, datasets: Sequence[Dataset]) -> Part:
    """Raises EvaluationError with what to say; its code is never shown."""
    if choice.submission and choice.kind:
        raise unfit("Name a submission or a kind, not both.")
    return _of_submission(kind, choice, datasets) if choice.submission else _of_kind(kind, choice)


def _of_kind(kind: Kind, choice: MemberChoice) -> Part:
    plain = {each.name: each for each in plain_kinds(kind)}
    if choice.kind not in plain:
        there = ", ".join(plain) or "none"
        example = '{"submission": "ID"}'
        raise unfit(f"{choice.kind[:60]!r} cannot be named alone; write {example}, or a kind of: {there}.")
    member = plain[choice.kind]
    found = options.checked(member, choice.options)
    if found.problems:
        raise unfit("; ".join(message for _, message in found.problems))
    return Part(member.name, options=found.values, name=member.title)


def _of_submission(kind: Kind, choice: MemberChoice, datasets: Sequence[Dataset]) -> Part:
    submission = earlier.named(choice.submission, kind.members.kinds, kind.members.noun)
    revision = submission.revision
    name = revision.system.name
    if choice.options:
        raise unfit(f"{name} is taken as it was submitted; leave options out.")
    if missing := earlier.missing(submission, datasets):
        what = "run" if KINDS[revision.kind].takes == "file" else "vectors"
        raise unfit(f"{name} has no {what} for {', '.join(missing)}; choose another, or submit them.")
    return revision.as_part(name)
