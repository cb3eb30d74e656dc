"""Whether latency sessions can be trusted: the same system again and again, on a quiet and a busy machine.

`python -m tests.benchmarks.latency quiet|busy [--system bm25|minilm] [--sessions N]`. It needs the product's
own environment and no peers, so that `make bench` leaves it out; `make bench-latency` runs it.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from evaluations.datasets import Dataset, load
from evaluations.latency import baseline, references
from evaluations.latency.baseline import Baseline
from evaluations.latency.host import host_profile
from evaluations.latency.quiet import quiet
from evaluations.latency.references import References
from evaluations.latency.session import SYSTEM, Settings, record, session_gates
from evaluations.latency.statistics import p50, variation
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.abilities import QueryPath
from tests.benchmarks import page
from tests.benchmarks.framework import Section, Table, Target

BUSY = 4
K = 10
REPEATED = 10  # sessions whose ratios are compared
MOST_VARIATION = 0.03
REJECTED_BUSY, REJECTED_QUIET = 0.95, 0.05  # at least, at most
PACKAGES = ("numpy", "numba", "torch", "sentence-transformers")
SHOWN_GATES = 3  # of a session in the table
COLUMNS = ("session", "seconds", "p50 ms", "matched ratio", "ratio to BM25", "rejected by")


@dataclass(frozen=True)
class Outcome:
    """One session. `failed`: the names of its gates that did."""

    seconds: float
    p50_ms: float
    matched: float
    bm25: float
    failed: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("half", choices=("quiet", "busy"))
    parser.add_argument("--system", choices=("bm25", "minilm"), default="minilm")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--baseline", type=Path, help="of this host; without one, it is measured first")
    parser.add_argument("--print", action="store_true", help="print the section, keep it from the page")
    options = parser.parse_args()
    machine = page.machine()
    section = _section(options, _outcomes(options))
    if options.print:
        print(section)
        return
    page.store(f"latency-{options.half}-{options.system}", section, machine)
    page.write()


def _outcomes(options: argparse.Namespace) -> list[Outcome]:
    dataset = load("mini")
    path = _path(options.system, dataset)
    known = references.references_for(path, dataset.documents, K, threads=1)
    stored = baseline.read_baseline(options.baseline) if options.baseline else _measured_baseline(known)
    with _busy(BUSY) if options.half == "busy" else nullcontext():
        found = []
        for number in range(options.sessions):
            found.append(_session(path, dataset, known, stored))
            print(number + 1, found[-1], flush=True)
    return found


def _session(path: QueryPath, dataset: Dataset, known: References, stored: Baseline) -> Outcome:
    started = time.perf_counter()
    session = record(path, dataset, Settings(throughput=None, engines=False), Progress(), known)
    checked = session_gates(session, stored)
    return Outcome(
        seconds=time.perf_counter() - started,
        p50_ms=p50(np.concatenate(session.recordings[SYSTEM].totals, axis=None)) * 1e-6,
        matched=session.matched_ratio.value,
        bm25=session.bm25_ratio.value,
        failed=tuple(gate.name for gate in checked if gate.state == "failed"),
    )


def _path(system: str, dataset: Dataset) -> QueryPath:
    kind = KINDS["bm25" if system == "bm25" else "dense"]
    location = None if system == "bm25" else references.encoder_location()
    loaded = kind.load(kind.spec(location), Runtime("cpu", 1))
    loaded.index(dataset.documents, Progress())
    return loaded.query_path(K, 1)


def _measured_baseline(known: References) -> Baseline:
    """What the references take before anything is injected."""
    with quiet():
        found = baseline.calibrate({**known.paths, references.BM25: baseline.mini_bm25()}, threads=1)
    return baseline.new_baseline(host_profile(), found)


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Processes that do nothing else than to keep processors busy and their caches full."""
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=_spin, daemon=True) for _ in range(processes)]
    for process in started:
        process.start()
    time.sleep(3)  # they import first
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()


def _spin() -> None:
    """Until it is ended, or whoever started it is gone."""
    parent, numbers = os.getppid(), np.random.default_rng(0).random(4_000_000)
    while os.getppid() == parent:
        numbers = np.sqrt(numbers + 1.0)


def _section(options: argparse.Namespace, found: list[Outcome]) -> Section:
    rejected = sum(bool(each.failed) for each in found)
    share = rejected / len(found)
    shown = f"{rejected} of {len(found)}"
    if options.half == "busy":
        targets = [
            Target("sessions rejected", f"at least {REJECTED_BUSY:.0%}", shown, share >= REJECTED_BUSY)
        ]
    else:
        varied = variation([each.matched for each in found[:REPEATED]])
        targets = [
            Target("sessions rejected", f"at most {REJECTED_QUIET:.0%}", shown, share <= REJECTED_QUIET),
            Target(
                f"variation of the matched ratio over {REPEATED} sessions", f"at most {MOST_VARIATION:.0%}",
                f"{varied:.1%}", varied <= MOST_VARIATION,
            ),
        ]  # fmt: skip
    names = {"bm25": "BM25", "minilm": "all-MiniLM-L6-v2"}
    return Section(
        title=f"Latency sessions, {options.half} machine, {names[options.system]}",
        intro=_intro(options.half),
        tables=(Table("sessions on mini", COLUMNS, tuple(_rows(found))),),
        targets=tuple(targets),
        notes=tuple(_notes(found)),
        versions={name: version(name) for name in PACKAGES},
    )


def _intro(half: str) -> str:
    injected = (
        f"{BUSY} processes that never wait were started after the references' baseline had been measured."
        if half == "busy"
        else "Nothing was started beside it."
    )
    return (
        "The same system is measured over and over, each session as the latency track does it: at least "
        "1,000 queries in five blocks of chunks that alternate with the references, then the gates. "
        f"{injected} "
        "Rejected sessions publish nothing; their figures are here to show what the gates held back."
    )


def _rows(found: list[Outcome]) -> Iterator[tuple[str, ...]]:
    for number, each in enumerate(found, start=1):
        yield (
            str(number), f"{each.seconds:.0f}", f"{each.p50_ms:.3f}", f"{each.matched:.3f}",
            f"{each.bm25:.2f}", _failed(each.failed),
        )  # fmt: skip


def _failed(gates: tuple[str, ...]) -> str:
    """The first few by name: a note below counts them all."""
    shown, more = ", ".join(gates[:SHOWN_GATES]), len(gates) - SHOWN_GATES
    return f"{shown} and {more} more" if more > 0 else shown or "passed"


def _notes(found: list[Outcome]) -> Iterator[str]:
    seconds = statistics.median(each.seconds for each in found)
    yield f"A session took {seconds:.0f} s, median; the longest {max(each.seconds for each in found):.0f} s."
    yield (
        f"The matched ratio varied by {variation([each.matched for each in found]):.1%} over all sessions, "
        f"the p50 itself by {variation([each.p50_ms for each in found]):.1%}."
    )
    counts = Counter(name for each in found for name in each.failed)
    if counts:
        listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
        yield f"Gates that failed, and in how many sessions: {listed}."


if __name__ == "__main__":
    main()
