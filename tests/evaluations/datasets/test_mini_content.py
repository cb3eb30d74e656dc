"""The texts and judgements of the built-in collection, checked as plain files."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

MINI = Path(__file__).resolve().parents[3] / "evaluations" / "datasets" / "mini"
FILES = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "README.md"]


def lines_of(name: str) -> list[str]:
    return (MINI / name).read_bytes().decode("utf-8").removesuffix("\n").split("\n")


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, str]]:
    return [json.loads(line) for line in lines_of("corpus.jsonl")]


@pytest.fixture(scope="module")
def queries() -> list[dict[str, str]]:
    return [json.loads(line) for line in lines_of("queries.jsonl")]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(lines_of("qrels/test.tsv"), delimiter="\t"))


@pytest.fixture(scope="module")
def grades(rows: list[dict[str, str]]) -> dict[str, list[int]]:
    by_query: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_query[row["query-id"]].append(int(row["score"]))
    return by_query


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_utf8_without_mark_and_ends_its_lines_with_lf(name: str) -> None:
    data = (MINI / name).read_bytes()
    assert data.decode("utf-8")
    assert not data.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert not data.endswith(b"\n\n")


def test_there_are_about_two_hundred_passages_and_sixty_queries(corpus, queries) -> None:
    assert 180 <= len(corpus) <= 220
    assert len(queries) == 60


def test_the_read_me_states_the_number_of_passages_and_queries(corpus, queries) -> None:
    readme = (MINI / "README.md").read_text(encoding="utf-8")
    assert f"{len(corpus)} passages" in readme
    assert f"{len(queries)} queries" in readme


def test_passages_have_an_id_a_title_and_a_text_and_nothing_else(corpus) -> None:
    for document in corpus:
        assert list(document) == ["_id", "title", "text"]
        assert all(isinstance(value, str) and value == value.strip() for value in document.values())


def test_queries_have_an_id_and_a_text_and_nothing_else(queries) -> None:
    for query in queries:
        assert list(query) == ["_id", "text"]
        assert query["text"]
        assert query["text"] == query["text"].strip()


def test_ids_are_numbered_without_gaps_and_shared_by_no_query_and_passage(corpus, queries) -> None:
    assert [document["_id"] for document in corpus] == [f"d{n:03d}" for n in range(1, len(corpus) + 1)]
    assert [query["_id"] for query in queries] == [f"q{n:02d}" for n in range(1, len(queries) + 1)]


def test_every_passage_has_between_thirty_and_ninety_words(corpus) -> None:
    lengths = {document["_id"]: len(document["text"].split()) for document in corpus}
    assert {name: words for name, words in lengths.items() if not 30 <= words <= 90} == {}


def test_a_handful_of_passages_have_no_title(corpus) -> None:
    assert 3 <= sum(not document["title"] for document in corpus) <= 12


def test_no_two_passages_and_no_two_queries_have_the_same_text(corpus, queries) -> None:
    for texts in ([document["text"] for document in corpus], [query["text"] for query in queries]):
        repeated = [text for text, times in Counter(map(plain, texts)).items() if times > 1]
        assert repeated == []


def test_no_two_passages_have_the_same_title(corpus) -> None:
    titles = Counter(plain(document["title"]) for document in corpus if document["title"])
    assert [title for title, times in titles.items() if times > 1] == []


def test_some_passage_is_written_partly_in_letters_beyond_latin(corpus) -> None:
    beyond_latin = [
        document["_id"]
        for document in corpus
        if any("\u0370" <= c <= "\u03ff" or c >= "\u3040" for c in document["text"])
    ]
    assert beyond_latin


def test_the_judgements_have_the_beir_header_and_three_columns() -> None:
    header, *body = lines_of("qrels/test.tsv")
    assert header == "query-id\tcorpus-id\tscore"
    assert all(line.count("\t") == 2 for line in body)


def test_every_grade_is_zero_one_or_two(rows) -> None:
    assert {row["score"] for row in rows} == {"0", "1", "2"}


def test_every_judged_query_and_passage_exists_and_every_query_is_judged(rows, corpus, queries) -> None:
    assert {row["corpus-id"] for row in rows} <= {document["_id"] for document in corpus}
    assert {row["query-id"] for row in rows} == {query["_id"] for query in queries}


def test_no_query_and_passage_are_judged_twice(rows) -> None:
    pairs = Counter((row["query-id"], row["corpus-id"]) for row in rows)
    assert [pair for pair, times in pairs.items() if times > 1] == []


def test_every_query_has_an_answer_and_at_most_six_relevant_passages(grades) -> None:
    for query, given in grades.items():
        assert 2 in given, query
        assert 1 <= sum(grade > 0 for grade in given) <= 6, query


def test_every_query_has_between_two_and_six_judged_distractors(grades) -> None:
    for query, given in grades.items():
        assert 2 <= given.count(0) <= 6, query
