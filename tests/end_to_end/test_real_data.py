"""Published figures on real collections, each reached through REST and a worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.rest import Person
from tests.end_to_end.services import Board

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def alice(shared_data: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with Board(tmp_path_factory.mktemp("real") / "var", {"SPARSEBOARD_MODELS": str(models)}) as board:
        board.prepare()
        for name in ("scifact", "trec-covid"):
            board.manage("add_dataset", str(shared_data / name))
            board.manage("add_benchmark", name, name)
        board.start_web()
        board.start_worker()
        board.start_reconciler()
        yield Person.with_token(board)


def test_bm25_on_scifact(alice: Person) -> None:
    """0.686: bm25s with English stemming and stop words."""
    submission = alice.submit(benchmark="scifact", kind="bm25", name="BM25")
    alice.wait(submission, seconds=180)
    assert alice.row("scifact", submission)["average"] == pytest.approx(0.686, abs=0.003)


@pytest.mark.parametrize(
    ("name", "ndcg"), [("bm25-flat", 0.5947), ("splade-pp-ed", 0.7274)], ids=["BM25 flat", "SPLADE++ ED"]
)
def test_anserini_runs_on_trec_covid(alice: Person, shared_data: Path, name: str, ndcg: float) -> None:
    """Anserini's published regressions for BEIR TREC-COVID."""
    run = shared_data / "runs" / f"trec-covid.{name}.trec"
    submission = alice.submit_files({"trec-covid": run}, benchmark="trec-covid", kind="run", name=name)
    alice.wait(submission, seconds=120)
    assert alice.row("trec-covid", submission)["average"] == pytest.approx(ndcg, abs=0.0001)


@pytest.mark.slow
def test_all_minilm_on_scifact_in_fp32(alice: Person) -> None:
    """MTEB's published result: nDCG@10 0.64508, recall at 100 0.925."""
    submission = alice.submit(
        benchmark="scifact",
        kind="dense",
        name="all-MiniLM-L6-v2",
        location="sentence-transformers/all-MiniLM-L6-v2",
        options={"precision": "fp32"},
    )
    alice.wait(submission, seconds=1500)
    row = alice.row("scifact", submission)
    assert row["average"] == pytest.approx(0.6451, abs=0.0002)
    assert row["metrics"]["R@100"] == pytest.approx(0.925, abs=0.0005)
