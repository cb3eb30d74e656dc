"""The two kinds of failure: the submitter's to fix, and ours."""


class EvaluationError(Exception):
    """What was submitted is wrong. `code` is stable; `message` says what, where and how to mend it.

    Its text is the one line that a person sees: `error[CODE]: message`. The command line exits with 2.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = one_line(message)

    def __str__(self) -> str:
        return f"error[{self.code}]: {self.message}"


class EvaluationFailed(EvaluationError):  # noqa: N818 - it says that it failed, not that it erred
    """The input was right and the evaluation broke: memory, a device, a library. Exits with 3."""


def one_line(message: str) -> str:
    """Line breaks and control characters of foreign text would break the promise of one line."""
    return " ".join("".join(char if char.isprintable() else " " for char in message).split())
