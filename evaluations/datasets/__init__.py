"""What systems are measured on: BEIR folders, registered names, the built-in `mini`.

`load("mini")`, `load("beir/scifact")`, `load("/folder")`.
"""

from pathlib import Path

from evaluations.datasets import blind
from evaluations.datasets.dataset import Checksums, Dataset, Documents, SelfHits
from evaluations.datasets.exported import exported_folder
from evaluations.datasets.folder import Declaration, read_folder, self_hits_rule
from evaluations.datasets.registered import BENCHMARKS, REGISTERED, BenchmarkList, Registered, by_source
from evaluations.errors import EvaluationError

__all__ = [
    "BENCHMARKS", "REGISTERED", "BenchmarkList", "Checksums", "Dataset", "Documents", "Registered",
    "SelfHits", "load", "locate", "write_blind",
]  # fmt: skip

MINI = Path(__file__).parent / "mini"


def load(
    source: str | Path,
    *,
    split: str | None = None,
    self_hits: str | None = None,
    corpus: bool = True,
    qrels: bool = True,
) -> Dataset:
    """The dataset of a registered name or a BEIR folder.

    `split` and `self_hits` go before what the name or the folder's `dataset.json` declares, and that before
    `test` and `keep`. With `corpus` false document texts are not kept, with `qrels` false the grades are
    not. Raises EvaluationError `DATASET-...`.
    """
    folder, declared = locate(source)
    wanted = Declaration(
        name=declared.name,
        split=split or declared.split,
        self_hits=self_hits_rule(self_hits) or declared.self_hits,
    )
    return read_folder(folder, wanted, corpus=corpus, qrels=qrels)


def locate(source: str | Path) -> tuple[Path, Declaration]:
    """The folder that holds a dataset, and what its registered name declares."""
    registered = by_source(str(source))
    if registered is None:
        return _existing_folder(source), Declaration()
    declaration = Declaration(registered.name, registered.split, registered.self_hits)
    return (MINI if registered.name == "mini" else exported_folder(registered)), declaration


def write_blind(
    source: str | Path, folder: Path, *, split: str | None = None, self_hits: str | None = None
) -> Dataset:
    """Makes the folder that `measure` is given for a dataset, and returns the dataset it was made from.

    Raises EvaluationError `DATASET-...`, FileExistsError where `folder` is there already.
    """
    dataset = load(source, split=split, self_hits=self_hits, corpus=False)
    blind.write_blind(locate(source)[0], dataset, folder)
    return dataset


def _existing_folder(source: str | Path) -> Path:
    folder = Path(source)
    if not folder.is_dir():
        named = REGISTERED.get(str(source))
        hint = f"; the registered name is {named.source}" if named and named.source else ""
        names = "mini, beir/scifact, ... (python -m evaluations datasets lists them)"
        raise EvaluationError(
            "DATASET-MISSING", f"no folder and no registered dataset {source}{hint}: {names}"
        )
    return folder
