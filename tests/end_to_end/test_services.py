"""One submission from POST to board: on PostgreSQL and Redis, and on what needs no installation."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytrec_eval

from tests.conftest import ROOT
from tests.end_to_end.rest import Person
from tests.end_to_end.services import Board, postgres, redis

QRELS = ROOT / "evaluations" / "datasets" / "mini" / "qrels" / "test.tsv"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path / "var") as board:
        yield board


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Board]:
    with (
        postgres() as database,
        redis() as url,
        Board(tmp_path / "var", {**database, "SPARSEBOARD_REDIS_URL": url}) as board,
    ):
        yield board


def from_post_to_board(board: Board) -> tuple[dict[str, Any], str]:
    board.prepare()
    board.start_web()
    board.start_worker()
    board.start_reconciler()
    alice = Person.with_token(board)
    submission = alice.submit(benchmark="mini", kind="bm25", name="BM25")
    alice.wait(submission, seconds=120)
    return alice.row("mini", submission), submission


def ndcg_by_trec_eval(board: Board, submission: str) -> float:
    """nDCG@10 of the published run, by trec_eval's own code over the qrels file."""
    charlie = Person.with_token(board, "charlie")
    published = charlie.artefact(charlie.get(f"submissions/{submission}/"), "run.trec.gz")
    lines = gzip.decompress(published).decode().splitlines()
    run: dict[str, dict[str, float]] = {}
    for query, _, document, rank, _, _ in map(str.split, lines):
        run.setdefault(query, {})[document] = -float(rank)
    qrels: dict[str, dict[str, int]] = {}
    for query, document, grade in (line.split("\t") for line in QRELS.read_text().splitlines()[1:]):
        qrels.setdefault(query, {})[document] = int(grade)
    values = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    return sum(value["ndcg_cut_10"] for value in values.values()) / len(qrels)


@pytest.mark.services
def test_a_submission_goes_from_post_to_board_on_postgresql_and_redis(production: Board) -> None:
    row, submission = from_post_to_board(production)
    assert row["rank"] == 1
    assert row["average"] == pytest.approx(ndcg_by_trec_eval(production, submission), abs=1e-9)


def test_a_submission_goes_from_post_to_board_with_nothing_installed(embedded: Board) -> None:
    row, submission = from_post_to_board(embedded)
    assert row["rank"] == 1
    assert row["average"] == pytest.approx(ndcg_by_trec_eval(embedded, submission), abs=1e-9)
