"""Checkpoints that values name: from `--checkpoint` to the models that are averaged."""

from dataclasses import replace

import numpy as np
import pytest

from evaluations import cli, pipeline
from evaluations.datasets import Checksums, Dataset, Documents
from evaluations.errors import EvaluationError
from evaluations.report import read_report
from evaluations.sparsity.sweeps import parse_checkpoints, parse_sweeps, sweep_of
from evaluations.sparsity.sweeps.checkpoints import checkpoints_of, place_of
from evaluations.systems.parse import parse_system
from tests import static_embeddings as static
from tests.evaluations.sweeps import models

CURVES = parse_sweeps(["soup=two,two+org/three@v1", "vector-bits=8"], "dense")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    tables = {"one": static.ONE, "two": static.TWO, "three": static.THREE, "wide": {"cat": (1.0, 1.0, 1.0)}}
    return {name: static.saved(root / name, table) for name, table in tables.items()}


def test_the_checkpoints_of_curves_are_named_once_and_in_order():
    assert checkpoints_of(CURVES) == ("two", "org/three@v1")
    assert checkpoints_of(parse_sweeps(["weights=10"], "dense")) == ()


@pytest.mark.parametrize("value", ["a++b", "+a", "a+", "a b", "a=b"])
def test_a_value_without_a_name_where_one_belongs_is_refused(value):
    with pytest.raises(EvaluationError, match="is no checkpoint"):
        parse_sweeps([f"soup={value}"], "dense")


def test_a_long_value_is_told_of_short_names():
    with pytest.raises(EvaluationError, match="short names by --checkpoint"):
        parse_sweeps([f"soup={'+'.join(['org/model@' + 'c' * 40] * 7)}"], "dense")


def test_a_place_is_a_hub_id_or_a_folder_whose_path_may_hold_an_at(tmp_path):
    assert place_of("org/name") == ("org/name", None)
    assert place_of("org/name@v1") == ("org/name", "v1")
    folder = tmp_path / "run@2"
    assert place_of(f"{folder}@sha256:0123") == (f"{tmp_path}/run", "2@sha256:0123")
    folder.mkdir()
    assert place_of(str(folder)) == (str(folder), None)


def test_names_are_given_places():
    found = parse_checkpoints(["two=org/two@v1", " org/three@v1 = ./three "], CURVES)
    assert found == {"two": "org/two@v1", "org/three@v1": "./three"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["two"], "'two' is no name with its place; write --checkpoint NAME=ORG/NAME@REVISION"),
        (["=org/two"], "is no name with its place"),
        (["two="], "is no name with its place"),
        (["two=org/a", "two=org/b"], "'two' is named twice"),
        (["tow=org/a"], "no value of a sweep names 'tow'; they name: two, org/three@v1"),
    ],
)
def test_what_names_nothing_is_refused(texts, words):
    with pytest.raises(EvaluationError, match="CHECKPOINT") as refusal:
        parse_checkpoints(texts, CURVES)
    assert words in refusal.value.message


def soup(folders, value, **checkpoints):
    """Documents' vectors where the value averages, and what is said of it."""
    subject = replace(models.subject(folders["one"]), checkpoints=checkpoints)
    with sweep_of("soup").variant("").model(subject, value) as altered:
        vectors = altered.system.encoder.vectors(["cat", "dog"], "document")
        return vectors.tolist(), altered.facts()


def test_a_name_is_averaged_as_its_place_is(folders):
    """Each number is the mean of the tables' by hand."""
    named, facts = soup(folders, "two+three", two=str(folders["two"]), three=str(folders["three"]))
    placed, _ = soup(folders, f"{folders['two']}+{folders['three']}")
    np.testing.assert_allclose(named, [[2.2 / 3, 1 / 3], [2.4 / 3, 1 / 3]], rtol=1e-6)
    assert named == placed
    assert (facts.axis, facts.metrics["weight_zeros_share"]) == (3, static.ZEROS_WITH_TWO)


def test_what_is_wrong_with_a_checkpoint_is_said_under_its_name_and_without_its_place(folders, tmp_path):
    with pytest.raises(EvaluationError, match="MODEL-MISSING") as missing:
        soup(folders, "two", two=str(tmp_path / "gone"))
    assert missing.value.message == "checkpoint two: no folder two; give a folder or a hub id ORG/NAME"
    with pytest.raises(EvaluationError, match="SWEEP-POINT") as other:
        soup(folders, "wide", wide=str(folders["wide"]))
    assert "only models of one architecture are averaged" in other.value.message
    with pytest.raises(EvaluationError, match=r"MODEL-ID.*checkpoint two: 'two' is no hub id"):
        soup(folders, "two")


def test_the_same_name_for_another_model_finds_no_vectors_of_the_first(folders, tmp_path):
    """Names mean what they are told to; what is kept is of the files."""
    documents = {key: text for key, (_, text) in static.DOCUMENTS.items()}
    data = Dataset(
        name="pets", split="test", documents=Documents(list(documents), list(documents.values())),
        document_ids=None, queries=static.QUERIES, qrels={"q1": {"d2": 1}}, self_hits="keep",
        checksums=Checksums("c", "q", "r"),
    )  # fmt: skip
    scores = []
    for other in ("two", "three"):
        request = pipeline.Request(
            parse_system(f"dense:{folders['one']}"), tmp_path / other,
            runtime=replace(models.RUNTIME, cache=tmp_path / "cache"),
            sweeps=parse_sweeps(["soup=x"], "dense"), checkpoints={"x": str(folders[other])},
        )  # fmt: skip
        [curve] = pipeline.evaluate(request, data).tracks["sparsity"].details["sweeps"]
        scores.append(curve["points"][1]["metrics"]["nDCG@10"])
    assert scores == pytest.approx([static.FIRST, static.SECOND])


def test_a_person_names_checkpoints_on_the_command_line(folders, write_dataset, tmp_path, capsys):
    documents = [(key, *texts) for key, texts in static.DOCUMENTS.items()]
    qrels = [(*pair, grade) for pair, grade in static.QRELS.items()]
    data = write_dataset("pets", documents=documents, queries=list(static.QUERIES.items()), qrels=qrels)
    command = ["evaluate", "--system", f"dense:{folders['one']}", "--dataset", str(data), "--device", "cpu"]
    command += ["--out", str(tmp_path / "out"), "--sweep", "soup=two,wide,two+three"]
    for name in ("two", "three", "wide"):
        command += ["--checkpoint", f"{name}={folders[name]}"]
    assert cli.main(command) == 0, capsys.readouterr().err
    [curve] = read_report(tmp_path / "out").tracks["sparsity"].details["sweeps"]
    assert curve["asked"] == "soup=two,wide,two+three"
    found = [(point["value"], point["axis"], point["metrics"].get("nDCG@10")) for point in curve["points"]]
    assert found == [
        (None, 1, pytest.approx(static.SECOND)), ("two", 2, static.FIRST), ("wide", None, None),
        ("two+three", 3, static.FIRST),
    ]  # fmt: skip
    assert cli.main([*command, "--checkpoint", "four=org/four"]) == 2
    assert "error[CHECKPOINT]" in capsys.readouterr().err
