"""Pages of the boards as a browser gets them."""

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leaderboard.boards import entries
from leaderboard.boards.models import Entry
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Benchmark
from leaderboard.submissions.models import State
from tests.factories import (
    make_benchmark,
    make_dataset,
    make_revision,
    make_submission,
    make_system,
    make_user,
)

from .helpers import measure, put_on_board

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def board() -> Benchmark:
    return make_benchmark("two", [make_dataset("one"), make_dataset("other")], title="Two")


def page(client: Client, query: str = "", **headers: str) -> str:
    response = client.get(f"/leaderboards/two/{query}", headers=headers)
    assert response.status_code == 200
    return response.text


def systems(text: str) -> list[str]:
    """Names in the order of the table."""
    return [
        unescape(name) for name in re.findall(r'<th scope="row"><a href="/systems/[^>]*>([^<]*)</a>', text)
    ]


def three(board: Benchmark) -> None:
    put_on_board(
        board, {"one": 0.5, "other": 0.25}, name="B", family="dense", kind="dense", licence="MIT",
        options={"precision": "bf16"}, metrics={"parameters": 110e6, "index_bytes": 9e9, "R@100": 0.9},
    )  # fmt: skip
    put_on_board(
        board, {"one": 0.25, "other": 0.75}, name="A", family="lexical", organisation="Example Lab",
        metrics={"parameters": 0, "index_bytes": 1e9, "R@100": 0.8},
    )  # fmt: skip
    put_on_board(board, {"one": 0.9}, name="C", family="sparse", licence="MIT")


def test_it_works(client: Client, board: Benchmark) -> None:
    three(board)
    text = page(client)
    assert systems(text) == ["A", "B", "C"]
    assert "<title>Two · SparseBoard</title>" in text
    assert re.search(r'<td class="top" title="0.75">75.0</td>', text)
    assert '<em class="tag">bf16</em>' in text


def test_an_empty_average_is_a_dash_that_says_why(client: Client, board: Benchmark) -> None:
    three(board)
    text = page(client)
    assert "No average: 1 of 2 datasets done (other queued)" in text
    assert '<span class="state queued">1 of 2 done</span>' in text


def test_every_heading_sorts_by_its_own_address_and_turns_around(client: Client, board: Benchmark) -> None:
    three(board)
    assert systems(page(client, "?sort=-one")) == ["C", "B", "A"]
    assert systems(page(client, "?sort=one")) == ["A", "B", "C"]
    assert systems(page(client, "?sort=parameters")) == ["A", "B", "C"]
    assert systems(page(client, "?sort=system")) == ["A", "B", "C"]
    assert systems(page(client, "?sort=-system")) == ["C", "B", "A"]
    assert 'aria-sort="descending"' in page(client, "?sort=-one")
    assert 'href="?sort=one"' in page(client, "?sort=-one")
    assert 'href="?sort=parameters"' in page(client), "what is better when lower is first sorted ascending"


@pytest.mark.parametrize(
    "query", ["?sort=nonsense", "?sort=-", "?sort=", "?page=999", "?page=x", "?show=x&x=y"]
)
def test_an_address_that_makes_no_sense_shows_the_board_as_it_is_ranked(
    client: Client, board: Benchmark, query: str
) -> None:
    three(board)
    assert systems(page(client, query)) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=example", ["A"]),
        ("?q=mit", ["B", "C"]),
        ("?q=mit+c", ["C"]),
        ("?family=dense", ["B"]),
        ("?precision=bf16", ["B"]),
        ("?parameters_max=100M", ["A"]),
        ("?parameters_min=0.1G", ["B"]),
        ("?index_bytes_max=4GB", ["A"]),
        ("?complete=true", ["A", "B"]),
        ("?kind=bm25", ["A", "C"]),
        ("?q=nobody", []),
    ],
)
def test_a_board_narrows_by_its_address(
    client: Client, board: Benchmark, query: str, found: list[str]
) -> None:
    three(board)
    text = page(client, query)
    assert systems(text) == found
    assert found or "No system fits" in text


def test_a_limit_that_is_no_number_is_answered_with_how_to_write_one(
    client: Client, board: Benchmark
) -> None:
    three(board)
    text = page(client, "?parameters_max=lots")
    assert "110M" in text
    assert 'aria-invalid="true"' in text
    assert systems(text) == ["A", "B", "C"]


def test_htmx_gets_the_table_alone(client: Client, board: Benchmark) -> None:
    three(board)
    text = page(client, "?sort=one", **{"HX-Request": "true", "HX-Target": "board"})
    assert "<html" not in text
    assert systems(text) == ["A", "B", "C"]
    response = client.get("/leaderboards/two/")
    assert "HX-Target" in response["Vary"]


def test_the_columns_of_a_view_are_those_of_its_group(client: Client, board: Benchmark) -> None:
    three(board)
    assert "R@100" in page(client, "?show=quality")
    assert "Index size" not in heads(page(client, "?show=quality"))
    assert "Index size" in heads(page(client, "?show=sparsity"))
    assert "one" in heads(page(client))


def heads(text: str) -> list[str]:
    return re.findall(r'<th scope="col"[^>]*><a [^>]*>([^<]*)</a>', text)


def test_an_empty_board_says_how_to_fill_it(client: Client, board: Benchmark) -> None:
    text = page(client)
    assert "No system here yet" in text
    assert 'id="filters"' not in text


def test_a_submission_that_waits_is_shown_under_the_board(client: Client, board: Benchmark) -> None:
    make_submission(benchmark=board, revision=make_revision(make_system(name="waiting one")))
    text = page(client)
    assert "Under evaluation" in text
    assert "waiting one" in text


def test_a_hostile_name_is_text_everywhere(client: Client, board: Benchmark) -> None:
    entry = put_on_board(
        board, {"one": 0.5, "other": 0.5}, name=HOSTILE, organisation=HOSTILE, licence=HOSTILE,
        description=HOSTILE, training_data=HOSTILE, family='"><script>', metrics={"parameters": 10},
        options={"query_prompt": HOSTILE},
    )  # fmt: skip
    system = reverse("system", args=[entry.revision.system_id])
    for address in ("/", "/leaderboards/two/", "/leaderboards/two/chart.json", system):
        text = client.get(address).text
        assert HOSTILE not in text, address
        assert '"><script>' not in text, address
        assert "alert(1)" in text, address


def test_a_csv_cell_cannot_start_a_formula(client: Client, board: Benchmark) -> None:
    put_on_board(
        board, {"one": 0.125, "other": 0.5}, name="=cmd|' /C calc'!A0", licence="@x", organisation="+1"
    )
    response = client.get("/leaderboards/two/board.csv")
    assert response["Content-Disposition"] == 'attachment; filename="two.csv"'
    (line,) = csv.DictReader(io.StringIO(response.text))
    assert line["system"] == "'=cmd|' /C calc'!A0"
    assert (line["licence"], line["organisation"]) == ("'@x", "'+1")
    assert (line["one"], line["average"]) == ("0.125", "0.3125")


def test_an_export_holds_what_the_filter_left(client: Client, board: Benchmark) -> None:
    three(board)
    text = client.get("/leaderboards/two/board.csv?family=dense").text
    assert [line["system"] for line in csv.DictReader(io.StringIO(text))] == ["B"]
    drawn = client.get("/leaderboards/two/chart.json?family=dense").json()
    assert [trace["name"] for trace in drawn["data"]] == ["dense"]


def test_the_chart_follows_the_axis_of_the_address(client: Client, board: Benchmark) -> None:
    three(board)
    drawn = client.get("/leaderboards/two/chart.json?x=index_bytes&family=dense").json()
    assert drawn["data"][0]["x"] == [18e9]  # the sum over both datasets


def test_the_json_link_asks_rest_for_the_same_rows(client: Client, board: Benchmark) -> None:
    three(board)
    found = re.search(r'href="(/api/v1/[^"]*)">JSON', page(client, "?family=dense&sort=-one&x=index_bytes"))
    assert found
    answer = client.get(unescape(found[1]))
    assert [row["system"] for row in answer.json()["results"]] == ["B"]


def test_what_is_not_there_is_404(client: Client) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for address in (
        "/leaderboards/none/",
        "/leaderboards/none/board.csv",
        "/leaderboards/none/chart.json",
        "/datasets/none/",
        f"/systems/{nobody}/",
        f"/artefacts/{nobody}/report.json",
        "/runs/1/",
    ):
        assert client.get(address).status_code == 404, address


def test_pages_take_as_many_queries_for_many_rows_as_for_few(client: Client, board: Benchmark) -> None:
    system = put_on_board(board, {"one": 0.5, "other": 0.25}, metrics={"parameters": 1}).revision.system
    put_on_board(board, {"one": 0.5})
    make_submission(benchmark=board)
    addresses = {"/": 7, "/leaderboards/two/": 9, "/datasets/": 2, f"/systems/{system.pk}/": 11}
    few = {address: count(client, address) for address in addresses}
    for number in range(4):
        put_on_board(board, {"one": 0.1 * number, "other": 0.2}, metrics={"parameters": 1})
        put_on_board(board, {"one": 0.1})
        put_on_board(board, {"one": 0.1, "other": 0.1}, revision=make_revision(system))
        make_submission(benchmark=board)
        make_dataset()
    assert {address: count(client, address) for address in addresses} == few
    assert all(few[address] <= most for address, most in addresses.items()), few


def count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def test_home_lists_boards_with_leaders_and_the_latest_submissions(client: Client, board: Benchmark) -> None:
    three(board)
    make_submission(benchmark=board, revision=make_revision(make_system(name="late one")), state=State.FAILED)
    text = client.get("/").text
    assert "2 systems" in text
    assert 'title="nDCG@10 0.5">50.0</b>' in text
    assert "late one" in text
    assert '<span class="state failed">failed</span>' in text


def test_home_without_a_benchmark_tells_the_operator_what_to_do(client: Client) -> None:
    assert "add_benchmark" in client.get("/").text


def system_text(client: Client, entry: Entry) -> str:
    response = client.get(reverse("system", args=[entry.revision.system_id]))
    assert response.status_code == 200
    return response.text


def test_a_system_page_shows_every_metric_with_all_its_digits(client: Client, board: Benchmark) -> None:
    entry = put_on_board(board, {"one": 0.123456789, "other": 0.5}, metrics={"R@100": 0.75}, name="A")
    text = system_text(client, entry)
    assert 'title="0.123456789"' in text
    assert ">12.3<" in text
    assert 'title="0.75, mean over the datasets"' in text


def test_a_system_page_says_why_a_number_is_missing(client: Client, board: Benchmark) -> None:
    submission = make_submission(benchmark=board)
    for member in board.members():
        measure(submission, member.dataset, {"nDCG@10": 0.5, "R@1000": None})
    entry = entries.refresh(submission)
    assert entry is not None
    text = system_text(client, entry)
    assert "R@1000 on one, R@1000 on other: does not apply." in text


def test_a_system_page_shows_provenance_warnings_and_how_to_reproduce_it(
    client: Client, board: Benchmark
) -> None:
    entry = put_on_board(
        board,
        {"one": 0.5},
        kind="dense",
        options={"precision": "fp32"},
        name="A",
        url="https://example.org/a",
    )
    evaluation = entry.submission.evaluations.get(dataset__name="one")
    evaluation.report = REPORT
    evaluation.save()
    text = system_text(client, entry)
    assert "Example CPU, 2 cores, 8 GiB" in text
    assert "1 min 13 s" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "numpy" in text
    assert "one query was cut" in text
    assert "--precision fp32" in text
    assert "f" * 64 in text
    assert "/srv/secret" not in text
    assert 'rel="nofollow noopener ugc"' in text


REPORT: dict[str, Any] = {
    "system": {"warnings": ["one query was cut"], "files": {"model.safetensors": "f" * 64}},
    "dataset": {"warnings": []},
    "provenance": {
        "command": "python -m evaluations measure --dataset /srv/secret/one",
        "started": "2026-11-23T10:00:00.000+00:00",
        "finished": "2026-11-23T10:01:13.000+00:00",
        "durations_s": {"encoding": 61.0},
        "runtime": {"device": "cpu", "threads": 2, "engine": None},
        "host": {"cpu": "Example CPU", "cores": 2, "memory_bytes": 8 * 2**30},
        "libraries": {"numpy": "2.3.4"},
    },
}


def test_a_system_without_results_has_a_page(client: Client, board: Benchmark) -> None:
    submission = make_submission(benchmark=board, owner=make_user("alice"))
    response = client.get(reverse("system", args=[submission.revision.system_id]))
    assert "No results yet" in response.text
    assert "queued" in response.text


def test_a_dataset_page_shows_identity_and_never_a_path(client: Client, board: Benchmark) -> None:
    dataset = board.datasets.get(name="one")
    dataset.source, dataset.warnings, dataset.self_hits = (
        "/srv/secret/one",
        ["2 qrels without document"],
        "remove",
    )
    dataset.save()
    text = client.get("/datasets/one/").text
    assert dataset.corpus_checksum in text
    assert "2 qrels without document" in text
    assert "removed: its queries are also documents" in text
    assert 'href="/leaderboards/two/"' in text
    assert "/srv/secret" not in text
    assert "one" in client.get("/datasets/").text


def test_the_method_page_defines_the_primary_metric(client: Client) -> None:
    text = client.get("/method/").text
    assert "log₂(i + 1)" in text


def test_no_board_page_holds_an_inline_script_and_only_the_board_loads_plotly(
    client: Client, board: Benchmark
) -> None:
    three(board)
    for address in ("/", "/leaderboards/two/", "/datasets/", "/method/"):
        response = client.get(address)
        assert "script-src 'self'" in response["Content-Security-Policy"].split("; ")
        assert not re.search(r"<script(?![^>]*\bsrc=)", response.text)
        assert ("plotly.min.js" in response.text) == (address == "/leaderboards/two/")


def test_a_system_made_of_others_names_and_links_them_and_shows_what_each_has(client: Client) -> None:
    board = make_benchmark("one", [make_dataset("one")])
    member = make_revision(make_system(name="MiniLM <b>"), kind="dense", location="org/dense")
    parts = [
        Part(
            "dense", "org/dense", "c0ffee", {"max_length": 64}, {}, member.pk, member.system_id, "MiniLM <b>"
        )
    ]
    parts.append(Part("bm25", name="BM25"))
    revision = make_revision(
        make_system(name="Both", family="fusion"), kind="fusion", members=[part.to_json() for part in parts]
    )
    submission = make_submission(benchmark=board, revision=revision)
    measure(submission, board.members()[0].dataset, {"nDCG@10": 0.5, "flops": None})
    figures = [
        {"part": "member 1 (dense)", "metrics": {"dimensions": 384}},
        {"part": "member 2 (bm25)", "metrics": {"flops": 0.5}},
    ]
    submission.evaluations.filter(track="sparsity").update(
        state=State.SUCCEEDED, report={"tracks": {"sparsity": {"members": figures}}}
    )
    entries.refresh(submission)
    text = client.get(f"/systems/{revision.system_id}/").text
    link = f'<dt>Member 1</dt><dd><a href="/systems/{member.system_id}/">MiniLM &lt;b&gt;</a>'
    assert link in text
    assert "max_length 64" in text
    assert "<dt>Member 2</dt><dd>BM25" in text
    assert "Save this as <code>fusion.json</code>" in text
    assert '<th scope="col">member 1 (dense)</th><th scope="col">member 2 (bm25)</th>' in text
    assert ">384</td>" in text
