"""The printed command: what stands in it, and that it gives the number on the board."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluations import pipeline
from evaluations.datasets import load
from evaluations.report import read_report
from evaluations.systems.parse import parse_system
from leaderboard.boards.recipes import recipe
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, Revision, RevisionFile
from tests.conftest import ROOT
from tests.factories import make_dataset, make_revision

pytestmark = pytest.mark.django_db

BM25 = {"k1": 1.5, "b": 0.75, "method": "lucene", "stemmer": "english", "stopwords": "english"}


def bm25(**options: object) -> Revision:
    return make_revision(kind="bm25", options=BM25 | options)


def one_line(command: str) -> str:
    return " ".join(command.replace("\\\n", " ").split())


def test_it_works() -> None:
    dataset = make_dataset("mini", source="mini")
    found = recipe(bm25(), dataset, "cpu")
    assert (
        one_line(found.command)
        == "python -m evaluations evaluate --system bm25 --dataset mini --out out/mini"
    )
    assert found.needs == ()


def test_options_that_differ_from_the_defaults_are_named_and_quoted() -> None:
    command = one_line(recipe(bm25(k1=0.9, stemmer="none"), make_dataset(), "cpu").command)
    assert "--option k1=0.9 --option stemmer=none" in command
    assert "--option b" not in command
    prompts = make_revision(
        kind="dense", location="org/name", version="abc", options={"query_prompt": "query: $(rm -rf /)"}
    )
    assert "--option 'query_prompt=query: $(rm -rf /)'" in recipe(prompts, make_dataset(), "cpu").command


def test_a_hub_model_is_named_with_its_commit_and_precision() -> None:
    revision = make_revision(
        kind="dense", location="org/name", version="c9745ed1", options={"precision": "bf16"}
    )
    command = one_line(recipe(revision, make_dataset("scifact", source="beir/scifact"), "gpu").command)
    assert "--system dense:org/name@c9745ed1" in command
    assert "--precision bf16 --device cuda" in command
    assert "--dataset beir/scifact" in command


def test_a_model_pinned_from_a_folder_says_where_to_put_it() -> None:
    revision = make_revision(kind="dense", location="org/name", version="sha256:0123456789abcdef")
    found = recipe(revision, make_dataset("mini", source="mini"), "cpu")
    assert "--system dense:org/name@sha256:0123456789abcdef" in one_line(found.command)
    assert "SPARSEBOARD_MODELS" in found.needs[0]


def test_a_folder_is_named_by_its_checksums_and_never_by_its_path() -> None:
    dataset = make_dataset(
        "tickets",
        source="/srv/private/tickets",
        split="dev",
        self_hits="remove",
        corpus_checksum="a" * 64,
        queries_checksum="b" * 64,
        qrels_checksum="c" * 64,
    )
    found = recipe(bm25(), dataset, "cpu")
    assert "--dataset ./tickets --split dev --self-hits remove" in one_line(found.command)
    assert "/srv" not in found.command + "".join(found.needs)
    assert found.needs == (
        f"./tickets: the collection as a BEIR folder; checksums corpus {'a' * 16}, queries {'b' * 16},"
        f" qrels {'c' * 16}",
    )


def test_what_a_registered_name_declares_is_not_repeated() -> None:
    arguana = make_dataset("arguana", source="beir/arguana", self_hits="remove")
    assert "--self-hits" not in recipe(bm25(), arguana, "cpu").command
    other = make_dataset("arguana", source="beir/arguana", self_hits="keep")
    assert "--self-hits keep" in one_line(recipe(bm25(), other, "cpu").command)


def test_a_submitted_run_is_named_as_it_is_downloaded() -> None:
    dataset = make_dataset("mini", source="mini")
    revision = make_revision(kind="run", version="sha256:0123456789abcdef", options={"exhausted": True})
    upload = RevisionFile(
        revision=revision, dataset=dataset, file="uploads/1/mini.trec.gz", sha256="d" * 64, size_bytes=9
    )
    found = recipe(revision, dataset, "cpu", {revision.pk: upload})
    assert "--system run:mini.trec.gz --option exhausted=true --dataset mini" in one_line(found.command)
    assert found.needs == (f"mini.trec.gz: the submitted run, sha256 {'d' * 64}",)


def composite(kind: str, *members: Part, **fields: object) -> Revision:
    return make_revision(kind=kind, members=[member.to_json() for member in members], **fields)


def test_members_with_settings_as_they_are_are_flags() -> None:
    dense = Part("dense", "org/name", "c9745ed1", {"precision": "fp32"}, name="MiniLM")
    both = composite("fusion", dense, Part("bm25", options=BM25), options={"weights": "0.7,0.3"})
    found = recipe(both, make_dataset("mini", source="mini"), "gpu")
    assert one_line(found.command) == (
        "python -m evaluations evaluate --system fusion --member dense:org/name@c9745ed1 --member bm25"
        " --option weights=0.7,0.3 --dataset mini --device cuda --out out/mini"
    )
    assert found.files == ()
    over = composite(
        "rerank", Part("bm25", options=BM25), location="org/cross", version="c0ffee",
        options={"depth": 50, "precision": "fp32", "max_length": None},
    )  # fmt: skip
    assert one_line(recipe(over, make_dataset("tiny", source="mini"), "cpu").command).startswith(
        "python -m evaluations evaluate --system rerank:org/cross@c0ffee --first-stage bm25 --option depth=50"
        " --dataset mini --precision fp32 --device cpu"
    )


def test_members_that_are_runs_have_names_of_their_own() -> None:
    dataset = make_dataset("mini", source="mini")
    runs = [make_revision(kind="run", version=f"sha256:{number}") for number in "12"]
    parts = [Part("run", version=run.version, revision=run.pk, name=f"Run {run.version[-1]}") for run in runs]
    uploads = {
        run.pk: RevisionFile(revision=run, dataset=dataset, file="u/mini.trec", sha256=run.version[-1] * 64)
        for run in runs
    }
    found = recipe(composite("fusion", *parts), dataset, "cpu", uploads)
    assert "--member run:member-1-mini.trec --member run:member-2-mini.trec" in one_line(found.command)
    assert found.needs[1] == f"member-2-mini.trec: the submitted run of Run 2, sha256 {'2' * 64}"


def test_a_member_that_was_an_archive_is_a_folder_of_its_own() -> None:
    dataset = make_dataset("mini", source="mini")
    model = make_revision(kind="dense", version="sha256:0123456789abcdef")
    part = Part("dense", version=model.version, revision=model.pk, name="Mine")
    upload = RevisionFile(revision=model, dataset=None, file="u/1/archive.tar.gz", sha256="a" * 64)
    found = recipe(composite("fusion", Part("bm25", options=BM25), part), dataset, "cpu", {model.pk: upload})
    assert "--member bm25 --member dense:./member-2-model@sha256:0123456789abcdef" in one_line(found.command)
    assert found.needs[0].startswith("member-2-model.tar.gz: the submitted archive of Mine, sha256 aaaa")
    assert "so that ./member-2-model holds config.json" in found.needs[0]


def test_checkpoints_are_given_their_places_and_an_upload_is_its_owners() -> None:
    one, two = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    model = make_revision(kind="dense", version="sha256:0123456789abcdef")
    upload = RevisionFile(revision=model, dataset=None, file="u/1/archive.tar.gz", sha256="a" * 64)
    averaged = {
        one: Part("dense", "org/seed-1", "c9745ed1", name="Seed 1"),
        two: Part("dense", version=model.version, revision=model.pk, name="Seed 2"),
    }
    own = make_revision(kind="dense", location="org/name", version="abc")
    found = recipe(
        own, make_dataset("mini", source="mini"), "cpu", {model.pk: upload}, [f"soup={one},{one}+{two}"],
        averaged,
    )  # fmt: skip
    assert (
        f"--sweep soup={one},{one}+{two} --checkpoint {one}=org/seed-1@c9745ed1"
        f" --checkpoint {two}=./checkpoint-2-model@sha256:0123456789abcdef" in one_line(found.command)
    )
    assert found.needs == (
        f"checkpoint-2-model.tar.gz: the submitted archive of Seed 2, sha256 {'a' * 64}, which only its owner"
        " can download, from the submission's page; unpack it so that ./checkpoint-2-model holds config.json"
        " itself",
    )


def test_a_checkpoint_pinned_from_a_folder_says_where_its_files_are_listed() -> None:
    averaged = {"x": Part("dense", "org/seed", "sha256:0123456789abcdef", name="Seed")}
    own = make_revision(kind="dense", location="org/name", version="abc")
    found = recipe(own, make_dataset("mini", source="mini"), "cpu", {}, ["soup=x"], averaged)
    assert "with the files listed on the page of Seed; or leave out @sha256:" in found.needs[0]


def test_members_with_settings_of_their_own_are_in_a_file_that_runs(tmp_path: Path) -> None:
    both = composite(
        "fusion", Part("bm25", options=BM25 | {"k1": 0.9}), Part("bm25", options=BM25),
        options={"method": "rrf", "normalisation": None, "rrf_k": 60, "weights": "2,1"},
    )  # fmt: skip
    found = recipe(both, make_dataset("mini", source="mini"), "cpu")
    ((name, content),) = found.files
    assert name == "fusion.json"
    (tmp_path / name).write_text(content)
    spec = parse_system(str(tmp_path / name))
    assert [member.options["k1"] for member in spec.members] == [0.9, 1.5]
    assert dict(spec.options) == both.options
    assert "--system fusion.json --dataset mini --out out/mini" in one_line(found.command)


def test_the_printed_command_runs_and_gives_the_same_number(tmp_path: Path) -> None:
    revision = bm25(k1=0.9)
    dataset = Dataset(name="mini", source="mini", split="test", self_hits="keep")
    spec = parse_system("bm25", ["k1=0.9"])
    here = pipeline.evaluate(pipeline.Request(spec, tmp_path / "here"), load("mini"))
    shown = recipe(revision, dataset, "cpu").command
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-c", shown], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    there = read_report(tmp_path / "out" / "mini")
    assert there.tracks["retrieval"].metrics["nDCG@10"] == here.tracks["retrieval"].metrics["nDCG@10"]
    assert there.protocol["retrieval"]["hash"] == here.protocol["retrieval"]["hash"]
