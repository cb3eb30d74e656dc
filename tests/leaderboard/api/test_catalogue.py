"""GET /api/v1/datasets/ and /api/v1/kinds/: what a client needs to build its own form."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from evaluations.systems import WEB_KINDS
from leaderboard.catalog.models import Benchmark
from tests.factories import add_dataset, make_benchmark, make_dataset, make_folder

pytestmark = pytest.mark.django_db


def test_a_dataset_has_sizes_checksums_protocol_warnings_and_boards(
    anonymous: APIClient, pets: Benchmark
) -> None:
    answer = anonymous.get("/api/v1/datasets/").json()
    assert list(answer) == ["count", "next", "previous", "results"]
    [row] = answer["results"]
    assert set(row) == {
        *("id", "name", "split", "documents", "queries", "judgements", "has_corpus", "self_hits", "licence"),
        *("protocol", "checksums", "warnings", "benchmarks", "created_at"),
    }
    assert (row["name"], row["documents"], row["queries"], row["judgements"]) == ("pets", 3, 2, 4)
    assert (row["has_corpus"], row["self_hits"], row["benchmarks"]) == (True, "keep", ["pets"])
    assert {key: len(value) for key, value in row["checksums"].items()} == {
        "corpus": 64,
        "queries": 64,
        "qrels": 64,
    }


def test_a_dataset_without_corpus_says_so(anonymous: APIClient, tmp_path: Path) -> None:
    add_dataset(make_folder(tmp_path / "pets", documents=None))
    [row] = anonymous.get("/api/v1/datasets/").json()["results"]
    assert (row["documents"], row["has_corpus"], row["checksums"]["corpus"]) == (None, False, "")


def test_where_a_dataset_lies_is_not_told(anonymous: APIClient, pets: Benchmark, tmp_path: Path) -> None:
    assert str(tmp_path) not in anonymous.get("/api/v1/datasets/").content.decode()


def test_more_datasets_take_no_more_queries(anonymous: APIClient) -> None:
    make_benchmark()
    with CaptureQueriesContext(connection) as few:
        anonymous.get("/api/v1/datasets/")
    for _ in range(4):
        make_benchmark(datasets=[make_dataset(), make_dataset()])
    with CaptureQueriesContext(connection) as many:
        anonymous.get("/api/v1/datasets/")
    assert len(many) == len(few)


def test_every_kind_is_described_with_its_options(anonymous: APIClient) -> None:
    rows = {row["name"]: row for row in anonymous.get("/api/v1/kinds/").json()["results"]}
    assert list(rows) == list(WEB_KINDS)
    bm25 = rows["bm25"]
    assert set(bm25) == {
        *(
            "name",
            "title",
            "family",
            "help",
            "takes",
            "needs_corpus",
            "tracks",
            "options",
            "members",
            "sweeps",
        )
    }
    assert bm25["members"]["maximum"] == 0
    assert (rows["fusion"]["members"]["minimum"], rows["fusion"]["members"]["maximum"]) == (2, 8)
    assert "run" in rows["rerank"]["members"]["kinds"]
    assert (bm25["takes"], bm25["needs_corpus"]) == ("vocabulary", True)
    assert "retrieval" in bm25["tracks"]
    [k1] = [option for option in bm25["options"] if option["name"] == "k1"]
    assert set(k1) == {"name", "type", "default", "help", "choices", "minimum", "maximum"}
    assert k1["type"] == "float"
    assert bm25["sweeps"] == []
    weights = next(sweep for sweep in rows["dense"]["sweeps"] if sweep["name"] == "weights")
    assert weights["encodes_again"]
    assert [curve["name"] for curve in weights["curves"]] == [
        *("weights", "weights:random", "weights:layer", "weights:nm"),
    ]
    assert weights["curves"][1]["is_baseline"]
    assert weights["curves"][3]["values"] == ["2:4", "4:8", "1:4"]
    assert (rows["run"]["takes"], rows["dense"]["takes"]) == ("file", "model")
    [soup] = next(sweep for sweep in rows["dense"]["sweeps"] if sweep["name"] == "soup")["curves"]
    assert (soup["values"], "ids of earlier submissions" in soup["takes"]) == ([], True)
