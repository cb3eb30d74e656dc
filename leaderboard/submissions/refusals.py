"""How a request is turned down: messages by field, so that the form shows each beside its input."""

from collections.abc import Mapping, Sequence

from leaderboard.submissions.models import Submission

WHOLE_REQUEST = "__all__"


class Refused(Exception):  # noqa: N818 - an answer to a person, not an error of ours
    """Nothing was stored or queued. `errors`: field name to messages that say what, where and how to mend it.

    Fields are those of the form: `name`, `location`, `option-k1`, `file-scifact`, `archive`; `__all__` is
    the request as a whole. `existing`: the submission that stands in the way, where there is one.
    """

    def __init__(self, errors: Mapping[str, Sequence[str]], *, existing: Submission | None = None) -> None:
        super().__init__(errors)
        self.errors = {name: tuple(messages) for name, messages in errors.items()}
        self.existing = existing

    def __str__(self) -> str:
        return "; ".join(message for messages in self.errors.values() for message in messages)


class IdempotencyConflict(Refused):
    """The key came before with another request."""


class Problems:
    """Collects what is wrong, so that a person reads all of it at once."""

    def __init__(self) -> None:
        self._errors: dict[str, list[str]] = {}

    def add(self, field: str, message: str) -> None:
        self._errors.setdefault(field, []).append(message)

    def __bool__(self) -> bool:
        return bool(self._errors)

    def refusal(self) -> Refused:
        return Refused(self._errors)
