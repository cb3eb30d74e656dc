"""GET /api/v1/leaderboards/: exactly the contract, over the page's own rows and filters."""

from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from leaderboard.catalog.models import Benchmark, BenchmarkDataset
from tests.factories import make_benchmark, make_dataset, make_revision, make_submission, make_system
from tests.leaderboard.boards.helpers import put_on_board

pytestmark = pytest.mark.django_db

URL = "/api/v1/leaderboards/animals/"


@pytest.fixture
def animals() -> Benchmark:
    """Three systems on two datasets; the last has no number on dogs yet."""
    benchmark = make_benchmark("animals", [make_dataset("cats"), make_dataset("dogs")], title="Animals")
    put_on_board(
        benchmark, {"cats": 0.5, "dogs": 0.25}, name="BM25", family="lexical", metrics={"R@100": 0.75}
    )
    dense = {"kind": "dense", "options": {"precision": "fp32"}, "metrics": {"parameters": 22_713_216.0}}
    put_on_board(benchmark, {"cats": 0.5, "dogs": 0.5}, name="MiniLM", family="dense", **dense)
    put_on_board(benchmark, {"cats": 1.0}, name="Partial", family="run", kind="run")
    return benchmark


def names(client: APIClient, **parameters: object) -> list[str]:
    response = client.get(URL, parameters)
    assert response.status_code == 200, response.json()
    return [row["system"] for row in response.json()["results"]]


def test_a_board_answers_with_exactly_the_promised_keys(anonymous: APIClient, animals: Benchmark) -> None:
    answer = anonymous.get(URL).json()
    assert list(answer) == ["benchmark", "protocol", "count", "next", "previous", "results"]
    assert (answer["benchmark"], answer["protocol"], answer["count"]) == ("animals", animals.protocol, 3)
    first = answer["results"][0]
    promised = ["rank", "system", "revision", "submission", "average", "datasets", "metrics"]
    assert list(first) == [*promised, "host", "times", "conditions", "missing", "untimed"]
    assert (first["rank"], first["system"], first["average"]) == (1, "MiniLM", 0.5)
    assert first["datasets"] == {"cats": 0.5, "dogs": 0.5}
    assert first["metrics"]["parameters"] == 22_713_216
    assert UUID(first["submission"])


def test_a_row_without_every_dataset_has_no_average_and_no_rank_and_comes_last(
    anonymous: APIClient, animals: Benchmark
) -> None:
    last = anonymous.get(URL).json()["results"][-1]
    assert (last["system"], last["rank"], last["average"]) == ("Partial", None, None)
    assert last["datasets"] == {"cats": 1.0, "dogs": None}


def test_values_are_not_rounded(anonymous: APIClient) -> None:
    benchmark = make_benchmark("animals", [make_dataset("cats")])
    put_on_board(benchmark, {"cats": 0.645080123456789})
    assert anonymous.get(URL).json()["results"][0]["average"] == 0.645080123456789


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("average", ["BM25", "MiniLM", "Partial"]),
        ("-rank", ["BM25", "MiniLM", "Partial"]),
        ("system", ["BM25", "MiniLM", "Partial"]),
        ("-system", ["Partial", "MiniLM", "BM25"]),
        ("-cats", ["Partial", "MiniLM", "BM25"]),
        ("dogs", ["BM25", "MiniLM", "Partial"]),
        ("-parameters", ["MiniLM", "BM25", "Partial"]),
        ("", ["MiniLM", "BM25", "Partial"]),
    ],
)
def test_rows_can_be_ordered_by_every_column(
    anonymous: APIClient, animals: Benchmark, ordering: str, expected: list[str]
) -> None:
    assert names(anonymous, ordering=ordering) == expected


def test_an_unknown_order_is_refused_with_those_that_there_are(
    anonymous: APIClient, animals: Benchmark
) -> None:
    response = anonymous.get(URL, {"ordering": "colour"})
    assert response.status_code == 400
    [message] = response.json()["errors"]["ordering"]
    assert "'colour'" in message
    assert "cats" in message


def test_filters_are_those_of_the_page_and_keep_the_ranks(anonymous: APIClient, animals: Benchmark) -> None:
    assert names(anonymous, family="lexical") == ["BM25"]
    assert names(anonymous, kind="dense") == ["MiniLM"]
    assert names(anonymous, precision="fp32") == ["MiniLM"]
    assert names(anonymous, q="bm") == ["BM25"]
    assert names(anonymous, parameters_max="110M") == ["MiniLM"]
    assert names(anonymous, complete="true") == ["MiniLM", "BM25"]
    assert anonymous.get(URL, {"family": "lexical"}).json()["results"][0]["rank"] == 2


def test_a_filter_that_is_no_filter_value_is_refused_by_its_name(
    anonymous: APIClient, animals: Benchmark
) -> None:
    response = anonymous.get(URL, {"family": "feline", "parameters_max": "many"})
    assert response.status_code == 400
    assert set(response.json()["errors"]) == {"family", "parameters_max"}


def test_pages_are_disjoint_complete_and_linked_though_averages_are_equal(anonymous: APIClient) -> None:
    benchmark = make_benchmark("animals", [make_dataset("cats")])
    for number in range(5):
        put_on_board(benchmark, {"cats": 0.5}, name=f"system {number}")
    seen, url = [], f"{URL}?page_size=2"
    while url:
        page = anonymous.get(url).json()
        assert page["count"] == 5
        seen += [row["system"] for row in page["results"]]
        url = page["next"]
    assert seen == [f"system {number}" for number in range(5)]
    assert {row["rank"] for row in anonymous.get(URL).json()["results"]} == {1}


def test_a_page_beyond_the_last_is_not_found(anonymous: APIClient, animals: Benchmark) -> None:
    response = anonymous.get(URL, {"page": 9})
    assert response.status_code == 404
    assert set(response.json()) == {"errors"}


def test_members_of_a_group_are_one_dataset(anonymous: APIClient) -> None:
    benchmark = make_benchmark("animals", [make_dataset("cats"), make_dataset("dogs")])
    BenchmarkDataset.objects.filter(benchmark=benchmark).update(group="pets")
    put_on_board(benchmark, {"cats": 0.5, "dogs": 0.25})
    assert anonymous.get(URL).json()["results"][0]["datasets"] == {"pets": 0.375}


def test_a_submission_that_waits_is_no_row(anonymous: APIClient, animals: Benchmark) -> None:
    make_submission(benchmark=animals, revision=make_revision(make_system(name="Waiting")))
    assert "Waiting" not in names(anonymous)


def test_an_unknown_board_is_not_found(anonymous: APIClient) -> None:
    response = anonymous.get("/api/v1/leaderboards/nowhere/")
    assert response.status_code == 404
    assert response.json() == {"errors": {"__all__": ["There is no such leaderboard."]}}


def test_the_list_of_boards_has_their_columns_and_protocols(anonymous: APIClient, animals: Benchmark) -> None:
    answer = anonymous.get("/api/v1/leaderboards/").json()
    assert list(answer) == ["count", "next", "previous", "results"]
    assert answer["results"] == [
        {
            **{"name": "animals", "title": "Animals", "description": "", "protocol": animals.protocol},
            **{"datasets": ["cats", "dogs"], "systems": 2},
        }
    ]


def test_page_and_api_show_the_same_systems_in_the_same_order(
    animals: Benchmark, anonymous: APIClient
) -> None:
    page = Client().get("/leaderboards/animals/", {"family": "lexical"}).content.decode()
    for name in ("BM25", "MiniLM", "Partial"):
        assert (f">{name}<" in page) == (name in names(anonymous, family="lexical"))


@pytest.mark.parametrize("url", [URL, "/api/v1/leaderboards/"])
def test_more_rows_take_no_more_queries(anonymous: APIClient, animals: Benchmark, url: str) -> None:
    with CaptureQueriesContext(connection) as few:
        anonymous.get(url)
    for number in range(5):
        put_on_board(animals, {"cats": 0.1, "dogs": 0.1}, name=f"more {number}")
        make_benchmark(f"other-{number}", [make_dataset(), make_dataset()])
    with CaptureQueriesContext(connection) as many:
        anonymous.get(url)
    assert len(many) == len(few) <= 6
