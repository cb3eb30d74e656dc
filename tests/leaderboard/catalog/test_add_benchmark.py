"""manage.py add_benchmark: ordered, idempotent, and never changing what published averages mean."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from leaderboard.catalog import benchmarks
from leaderboard.catalog.benchmarks import Item, parse
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.catalog.register import CatalogueError
from leaderboard.catalog.signals import benchmark_changed
from tests.factories import (
    add_benchmark,
    add_dataset,
    make_benchmark,
    make_dataset,
    make_folder,
    make_submission,
)

pytestmark = pytest.mark.django_db

BEIR_13 = [
    *("trec-covid", "nfcorpus", "nq", "hotpotqa", "fiqa", "arguana", "webis-touche2020", "dbpedia-entity"),
    *("scidocs", "fever", "climate-fever", "scifact", "quora"),
]
CQADUPSTACK = [
    *("android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats"),
    *("tex", "unix", "webmasters", "wordpress"),
]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("add_benchmark", *arguments, stdout=out)
    return out.getvalue()


def columns(name: str) -> list[tuple[str, str]]:
    return [(member.group, member.dataset.name) for member in Benchmark.objects.get(name=name).members()]


def test_datasets_keep_the_order_they_were_given_in() -> None:
    for name in ("b", "a", "c"):
        make_dataset(name)
    out = run("letters", "c", "a", "b", "--title", "Letters", "--description", "Three.", "--position", "7")
    assert columns("letters") == [("", "c"), ("", "a"), ("", "b")]
    benchmark = Benchmark.objects.get()
    assert (benchmark.title, benchmark.description, benchmark.position) == ("Letters", "Three.", 7)
    assert "letters created: c, a, b" in out


def test_the_same_list_again_changes_nothing_and_says_so() -> None:
    make_dataset("a")
    run("letters", "a", "--title", "Letters")
    before = Benchmark.objects.values().get()
    assert "letters was so already" in run("letters", "a")
    assert Benchmark.objects.values().get() == before


def test_texts_can_be_changed_under_submissions() -> None:
    make_submission(benchmark=make_benchmark("letters", [make_dataset("a")]))
    assert "changed (title)" in run("letters", "a", "--title", "Letters")


def test_the_order_can_be_changed_under_submissions() -> None:
    make_submission(benchmark=make_benchmark("letters", [make_dataset("a"), make_dataset("b")]))
    run("letters", "b", "a")
    assert columns("letters") == [("", "b"), ("", "a")]


@pytest.mark.parametrize("wanted", [["a"], ["a", "c"], ["a", "both:b"]])
def test_another_list_is_refused_once_there_are_submissions(wanted: list[str]) -> None:
    make_submission(benchmark=make_benchmark("letters", [make_dataset("a"), make_dataset("b")]))
    make_dataset("c")
    with pytest.raises(CommandError, match="letters has submissions on another list"):
        run("letters", *wanted)
    assert columns("letters") == [("", "a"), ("", "b")]


def test_force_changes_the_list_and_announces_it_with_the_new_list_in_place() -> None:
    make_submission(benchmark=make_benchmark("letters", [make_dataset("a")]))
    make_dataset("b")
    seen: list[list[str]] = []

    def receive(*, benchmark: Benchmark, **_: object) -> None:
        seen.append([member.dataset.name for member in benchmark.members()])

    benchmark_changed.connect(receive)
    run("letters", "a", "b", "--force")
    benchmark_changed.disconnect(receive)
    assert seen == [["a", "b"]]


def test_a_receiver_that_fails_undoes_the_change() -> None:
    make_submission(benchmark=make_benchmark("letters", [make_dataset("a")]))
    make_dataset("b")

    def receive(**_: object) -> None:
        raise RuntimeError("entries could not be recomputed")

    benchmark_changed.connect(receive)
    with pytest.raises(RuntimeError, match="recomputed"):
        run("letters", "b", "--force")
    benchmark_changed.disconnect(receive)
    assert columns("letters") == [("", "a")]


def test_a_group_is_written_member_by_member_or_as_one_list() -> None:
    assert parse(["forum:gis", "forum=android,gis", "beir/scifact"]) == [
        Item("gis", "forum"),
        Item("android", "forum"),
        Item("gis", "forum"),
        Item("scifact"),
    ]


def test_members_of_a_group_may_leave_its_name_out() -> None:
    for name in ("cqadupstack-android", "cqadupstack-gis", "scifact"):
        make_dataset(name)
    run("forums", "scifact", "cqadupstack=android,cqadupstack-gis")
    assert columns("forums") == [
        ("", "scifact"),
        ("cqadupstack", "cqadupstack-android"),
        ("cqadupstack", "cqadupstack-gis"),
    ]


def test_beir_13_knows_its_list() -> None:
    for name in reversed(BEIR_13):
        make_dataset(name)
    run("beir-13")
    assert [name for _, name in columns("beir-13")] == BEIR_13
    assert Benchmark.objects.get().title == "BEIR, 13 public datasets"


def test_beir_15_and_18_average_cqadupstack_into_one_column() -> None:
    extra = ["msmarco", "bioasq", "signal1m", "trec-news", "robust04"]
    for name in [*BEIR_13, *extra, *(f"cqadupstack-{part}" for part in CQADUPSTACK)]:
        make_dataset(name)
    run("beir-15")
    run("beir-18")
    for name, size in (("beir-15", 15), ("beir-18", 18)):
        members = columns(name)
        assert [part for group, part in members if group] == [f"cqadupstack-{part}" for part in CQADUPSTACK]
        assert len({group or part for group, part in members}) == size


def test_a_known_benchmark_takes_no_other_list() -> None:
    make_dataset("scifact")
    with pytest.raises(CommandError, match="beir-13 is a fixed list"):
        run("beir-13", "scifact")


def test_datasets_that_are_missing_are_named_with_what_to_do() -> None:
    for name in BEIR_13:
        make_dataset(name)
    Dataset.objects.filter(name="nq").delete()
    with pytest.raises(
        CommandError, match=r"not in the catalogue: nq\. First: manage.py add_dataset beir/nq"
    ):
        run("beir-13")
    make_dataset("nq")
    with pytest.raises(
        CommandError, match=r"cqadupstack-android, .*First: manage.py add_dataset beir/cqadupstack/android"
    ):
        run("beir-15")
    with pytest.raises(CommandError, match="add_dataset FOLDER --name unheard-of"):
        run("mine", "unheard-of")


@pytest.mark.parametrize(
    ("name", "datasets", "message"),
    [
        ("Letters", ["a"], "is no name"),
        ("letters", [], "needs datasets"),
        ("letters", ["a", "a"], "more than once: a"),
        ("letters", ["a", "a:b"], "both a dataset and a group"),
        ("letters", ["group="], "without datasets"),
        ("letters", ["group:"], "names no dataset"),
        ("letters", ["Big Group:a"], "is no name"),
    ],
)
def test_a_wrong_list_is_refused_and_nothing_is_stored(name: str, datasets: list[str], message: str) -> None:
    make_dataset("a")
    make_dataset("b")
    with pytest.raises(CommandError, match=message):
        run(name, *datasets)
    assert not Benchmark.objects.exists()


def test_the_newest_version_is_taken_for_a_new_benchmark(tmp_path: Path) -> None:
    add_dataset(make_folder(tmp_path / "one"), name="pets")
    newest = add_dataset(make_folder(tmp_path / "two", documents=None), name="pets", new_version=True)
    assert [member.dataset for member in add_benchmark("animals", ["pets"]).members()] == [newest]


def test_appending_what_is_there_changes_nothing() -> None:
    row = make_dataset("a")
    benchmark = make_benchmark("letters", [row])
    assert benchmarks.append("letters", row).changed == ()
    with pytest.raises(CatalogueError, match="more than once"):
        benchmarks.append("letters", make_dataset("a"))
    assert benchmark.members().count() == 1


def test_list_datasets_shows_sizes_and_benchmarks() -> None:
    make_benchmark("letters", [make_dataset("a", has_corpus=False)])
    out = StringIO()
    call_command("list_datasets", stdout=out)
    head, row = out.getvalue().splitlines()
    assert head.split()[:3] == ["name", "split", "documents"]
    assert row.split()[:5] == ["a", "test", "-", "2", "4"]
    assert "letters" in row
