"""How much an archive may hold, counted while it is read, and how it is refused."""

from dataclasses import dataclass

from evaluations.errors import EvaluationError

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ArchiveLimits:
    """`bytes` counts after unpacking, to at most `spare_bytes` and `ratio` times the archive's size."""

    bytes: int = 64 * 1024**3
    spare_bytes: int = 64 * 1024**2
    ratio: int = 40
    members: int = 2000
    directory_bytes: int = 4 * 1024**2
    name_bytes: int = 512
    depth: int = 8


def refusal(code: str, problem: str) -> EvaluationError:
    return EvaluationError(f"ARCHIVE-{code}", f"the archive {problem}")


def member_refusal(code: str, name: str, problem: str) -> EvaluationError:
    return EvaluationError(f"ARCHIVE-{code}", f"member {name[:80]!r} {problem}")


class Budget:
    """What was read so far of one archive. Raises EvaluationError `ARCHIVE-SIZE` or `ARCHIVE-RATIO`."""

    def __init__(self, packed_bytes: int, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._by_ratio = limits.spare_bytes + limits.ratio * packed_bytes
        self._bytes = 0
        self._members = 0

    def count_member(self) -> None:
        self._members += 1
        if self._members > self.limits.members:
            problem = f"holds more than {self.limits.members:,} members, which is the most that is taken"
            raise refusal("SIZE", problem)

    def count_bytes(self, unpacked: int) -> None:
        self._bytes += unpacked
        if self._bytes > self.limits.bytes:
            raise refusal("SIZE", f"unpacks to more than {self.limits.bytes:,} bytes; send less")
        if self._bytes > self._by_ratio:
            problem = f"unpacks to over {self.limits.ratio} times its size; pack it with less compression"
            raise refusal("RATIO", problem)
