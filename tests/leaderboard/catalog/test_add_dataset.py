"""manage.py add_dataset: what is stored, what is refused, and that the same content is never stored twice."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluations import datasets as library
from evaluations.protocol import retrieval_protocol
from leaderboard.catalog.models import Dataset
from leaderboard.catalog.names import dataset_name
from leaderboard.catalog.register import CatalogueError
from leaderboard.catalog.signals import benchmark_changed
from tests.factories import PET_QUERIES, PETS, add_dataset, make_benchmark, make_folder, make_submission

pytestmark = pytest.mark.django_db


def run(*arguments: str | Path) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("add_dataset", *map(str, arguments), stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_a_folder_is_stored_with_counts_checksums_and_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "Pets")
    monkeypatch.chdir(tmp_path)
    out, err = run("Pets", "--licence", "CC0")
    row = Dataset.objects.get()
    assert (row.name, row.split, row.self_hits, row.licence) == ("pets", "test", "keep", "CC0")
    assert (row.documents, row.queries, row.judgements) == (3, 2, 4)
    assert row.source == str(tmp_path / "Pets")
    assert row.protocol == retrieval_protocol(library.load(tmp_path / "Pets")).hash
    assert {len(row.corpus_checksum), len(row.queries_checksum), len(row.qrels_checksum)} == {64}
    assert "pets added: 3 documents, 2 judged queries, 4 judgements" in out
    assert err == ""


def test_the_built_in_mini_is_added_by_name() -> None:
    run("mini")
    row = Dataset.objects.get()
    assert (row.name, row.source) == ("mini", "mini")
    assert row.has_corpus


def test_adding_the_same_content_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    run(folder)
    before = Dataset.objects.values().get()
    out, _ = run(folder)
    assert "pets was there already" in out
    assert Dataset.objects.values().get() == before


def test_the_same_content_from_another_place_moves_the_row(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "one" / "pets")
    second = make_folder(tmp_path / "two" / "pets")
    run(first)
    out, _ = run(second)
    assert f"source was {first}, is {second}" in out
    assert Dataset.objects.get().source == str(second)


def test_new_definitions_give_the_row_their_protocol_and_announce_its_benchmarks(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    row = add_dataset(folder)
    benchmark = make_benchmark("animals", [row])
    Dataset.objects.update(protocol="0" * 12)
    with announcements() as announced:
        run(folder)
    assert announced == [benchmark]
    assert Dataset.objects.get().protocol == row.protocol


def test_other_content_under_the_same_name_is_refused_by_the_checksum_that_differs(tmp_path: Path) -> None:
    run(make_folder(tmp_path / "pets"))
    other = make_folder(tmp_path / "other", queries=PET_QUERIES | {"q1": "hungry cat"})
    with pytest.raises(
        CommandError, match=r"pets is in the catalogue.*queries checksum [0-9a-f]{12} became"
    ) as raised:
        run(other, "--name", "pets")
    assert "corpus checksum" not in str(raised.value)
    assert "qrels checksum" not in str(raised.value)
    assert Dataset.objects.count() == 1


def test_a_new_version_is_a_new_row_and_benchmarks_keep_the_old_one(tmp_path: Path) -> None:
    first = add_dataset(make_folder(tmp_path / "pets"))
    benchmark = make_benchmark("animals", [first])
    other = make_folder(tmp_path / "other", documents=PETS | {"d4": ("Birds", "A parrot.")})
    run(other, "--name", "pets", "--new-version")
    assert Dataset.objects.filter(name="pets").count() == 2
    assert [member.dataset for member in benchmark.members()] == [first]


def test_another_rule_for_self_hits_is_other_content(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    run(folder)
    with pytest.raises(CommandError, match="self hits keep became remove"):
        run(folder, "--self-hits", "remove")


def test_a_registered_name_read_by_another_rule_is_warned_about(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "arguana", documents=None)
    _, err = run(folder)
    assert "self-hits: keep; the registered arguana declares remove" in err
    run(folder, "--self-hits", "remove", "--new-version")
    assert Dataset.objects.get(self_hits="remove").warnings == []


def test_a_folder_without_corpus_is_stored_without_documents(tmp_path: Path) -> None:
    out, _ = run(make_folder(tmp_path / "pets", documents=None))
    row = Dataset.objects.get()
    assert (row.documents, row.corpus_checksum, row.has_corpus) == (None, "", False)
    assert "no corpus" in out


def test_empty_and_missing_documents_are_warned_about_and_the_warnings_stored(tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "pets",
        documents={"d1": PETS["d1"], "d2": ("", "")},
        qrels={("q1", "d1"): 1, ("q2", "d9"): 1},
    )
    _, err = run(folder)
    assert err.count("warning: ") == 2
    assert "1 of 2 documents are empty" in err
    assert "d9" in err
    assert len(Dataset.objects.get().warnings) == 2


def test_another_split_is_read_from_its_own_qrels(tmp_path: Path) -> None:
    run(make_folder(tmp_path / "pets", split="dev"), "--split", "dev")
    assert Dataset.objects.get().split == "dev"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "no folder and no registered dataset"),
        (lambda folder: make_folder(folder, split="dev"), "its splits: dev"),
        (lambda folder: make_folder(folder, queries={}), "queries"),
        (
            lambda folder: [make_folder(folder), (folder / "corpus.jsonl").write_bytes(b"\xff\n")],
            "corpus.jsonl",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line_and_nothing_is_stored(
    tmp_path: Path, prepare: Callable[[Path], object], message: str
) -> None:
    prepare(tmp_path / "pets")
    with pytest.raises(CommandError, match=message) as raised:
        run(tmp_path / "pets")
    assert "\n" not in str(raised.value)
    assert not Dataset.objects.exists()


def test_a_folder_without_qrels_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    (folder / "qrels" / "test.tsv").unlink()
    (folder / "qrels").rmdir()
    with pytest.raises(CommandError, match="has no qrels folder"):
        run(folder)


def test_a_split_too_long_for_the_database_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", split="a" * 21)
    with pytest.raises(CommandError, match=r"split: .*20 characters"):
        run(folder, "--split", "a" * 21)


def test_benchmark_appends_and_creates_where_there_is_none(tmp_path: Path) -> None:
    run(make_folder(tmp_path / "pets"), "--benchmark", "animals")
    out, _ = run(
        make_folder(tmp_path / "more", queries=PET_QUERIES | {"q1": "hungry cat"}), "--benchmark", "animals"
    )
    assert "animals changed (datasets): pets, more" in out


def test_benchmark_is_not_extended_under_its_submissions(tmp_path: Path) -> None:
    make_submission(benchmark=make_benchmark("animals", [add_dataset(make_folder(tmp_path / "pets"))]))
    other = make_folder(tmp_path / "more", queries=PET_QUERIES | {"q1": "hungry cat"})
    with pytest.raises(CommandError, match="animals has submissions on another list"):
        run(other, "--benchmark", "animals")
    out, _ = run(other, "--benchmark", "animals", "--force")
    assert "animals changed (datasets): pets, more" in out


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("beir/scifact", "scifact"),
        ("cqadupstack/gis", "cqadupstack-gis"),
        ("My Data.v2", "my-data-v2"),
        ("beir/webis-touche2020", "webis-touche2020"),
    ],
)
def test_names_become_slugs(name: str, slug: str) -> None:
    assert dataset_name(name) == slug


@pytest.mark.parametrize("name", ["", "///", "日本", "a" * 81])
def test_a_name_without_a_slug_is_refused(name: str) -> None:
    with pytest.raises(CatalogueError, match="--name"):
        dataset_name(name)


class announcements:  # noqa: N801 - reads as a function
    """The benchmarks announced as changed within the block."""

    def __enter__(self) -> list[object]:
        self.seen: list[object] = []
        benchmark_changed.connect(self._receive)
        return self.seen

    def __exit__(self, *exception: object) -> None:
        benchmark_changed.disconnect(self._receive)

    def _receive(self, *, benchmark: object, **_: object) -> None:
        self.seen.append(benchmark)
