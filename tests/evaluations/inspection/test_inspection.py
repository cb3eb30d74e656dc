"""What is said of folders and archives: kind, sizes, licence, and whether they are safe."""

import json
import subprocess
import sys
import tempfile

import pytest

from evaluations.errors import EvaluationError
from evaluations.inspection import inspect_location
from tests.conftest import ROOT
from tests.evaluations.hostile import forging

LIBRARY = "config_sentence_transformers.json"
WHOLE = {**forging.MODEL, "modules.json": forging.MODULES[:1]}


def module(name, path=""):
    return {"idx": 0, "name": "0", "path": path, "type": f"sentence_transformers.models.{name}"}


def config(architecture, **changed):
    return {**json.loads(forging.CONFIG), "architectures": [architecture], **changed}


def inspected(tmp_path, **files):
    return inspect_location(str(forging.write(tmp_path / "model", {**forging.MODEL, **files})))


def test_all_minilm_is_described_as_its_card_says(minilm):
    found = inspect_location(str(minilm))
    assert (found.kind, found.safe, found.because) == (
        "dense", True, "modules.json names Transformer, Pooling, Normalize",
    )  # fmt: skip
    assert found.facts.parameters == 22_713_216  # its model card says 22.7M
    assert (found.facts.vocabulary, found.facts.dimensions, found.facts.max_length) == (30522, 384, 256)
    assert (found.card.licence, found.card.licence_from, found.card.languages) == (
        "apache-2.0", "README.md", ("en",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"modules.json": [module("Transformer"), module("Pooling", "1")]}, "dense"),
        ({"modules.json": [module("Transformer"), module("SpladePooling", "1")]}, "sparse"),
        ({"modules.json": [module("Transformer"), module("Dense", "1")]}, "late-interaction"),
        ({"modules.json": [module("Transformer")], LIBRARY: {"model_type": "SparseEncoder"}}, "sparse"),
        ({"modules.json": [module("Transformer")], LIBRARY: {"model_type": "CrossEncoder"}}, "rerank"),
        (
            {"modules.json": [module("Transformer")], LIBRARY: {"model_type": "MultiVectorEncoder"}},
            "late-interaction",
        ),
        ({"idf.json": {}, "config.json": config("BertForMaskedLM")}, "sparse"),
        ({"config.json": config("BertForMaskedLM")}, "sparse"),
        ({"config.json": config("MistralForCausalLM")}, "sparse"),
        ({"config.json": config("BertForSequenceClassification")}, "rerank"),
        ({"config.json": config("HF_ColBERT")}, "late-interaction"),
        ({"config.json": config("BertModel")}, "dense"),
        ({"config.json": {"model_type": "bert"}}, None),
    ],
)
def test_the_kind_is_told_by_what_the_files_say(tmp_path, files, kind):
    found = inspected(tmp_path, **files)
    assert found.kind == kind
    assert found.because


def test_a_decoder_only_encoder_says_which_option_it_needs(tmp_path):
    assert inspected(tmp_path, **{"config.json": config("MistralForCausalLM")}).options == {
        "document_template": "{text}\n{text}"
    }


def test_a_dense_projection_gives_the_dimensions(tmp_path):
    modules = [module("Transformer"), module("Pooling", "1"), module("Dense", "2")]
    found = inspected(
        tmp_path,
        **{
            "modules.json": modules,
            "1/config.json": {"word_embedding_dimension": 4, "pooling_mode_cls_token": True,
                              "pooling_mode_mean_tokens": True},
            "2/config.json": {"in_features": 8, "out_features": 3},
        },
    )  # fmt: skip
    assert found.facts.dimensions == 3


@pytest.mark.parametrize(
    ("name", "content", "licence"),
    [
        ("README.md", "---\nlicense: mit\n---\n", "mit"),
        ("README.md", '---\r\nlicense: "apache-2.0" # as agreed\r\n---\r\n', "apache-2.0"),
        ("README.md", "---\nlicense: other\nlicense_name: llama3\n---\n", "llama3"),
        ("README.md", "---\nlicense: [mit, gpl-3.0]\n---\n", "mit"),
        ("LICENSE", "                                 Apache License\n   Version 2.0", "apache-2.0"),
        ("LICENSE.txt", "MIT License\n\nCopyright", "mit"),
        ("README.md", "license: mit\n", None),
        ("README.md", f"---\nlicense: {'x' * 100}\n---\n", None),
        ("README.md", "---\nlicense: mit\n", None),
    ],
)
def test_the_licence_is_named_with_its_file(tmp_path, name, content, licence):
    card = inspected(tmp_path, **{name: content.encode()}).card
    assert (card.licence, card.licence_from) == (licence, name if licence else None)


def test_languages_may_be_a_list_of_lines(tmp_path):
    card = inspected(tmp_path, **{"README.md": b"---\nlanguage:\n- en\n  - de\nlicense: mit\n---\n"}).card
    assert card.languages == ("en", "de")


def test_what_is_refused_is_said_with_the_reason(tmp_path):
    found = inspected(tmp_path, **{"config.json": {**config("BertModel"), "auto_map": {}}})
    assert not found.safe
    assert found.why.startswith("error[MODEL-CODE]: config.json has auto_map")


def test_an_archive_says_the_same_as_its_folder(tmp_path):
    folder = forging.write(tmp_path / "model", WHOLE)
    sent = {name: path.read_bytes() for name, path in ((each.name, each) for each in folder.iterdir())}
    there = inspect_location(str(folder))
    for name, content in (("m.zip", forging.zipped(sent)), ("m.tar", forging.tarred(sent))):
        (tmp_path / name).write_bytes(content)
        found = inspect_location(str(tmp_path / name))
        assert (found.kind, found.revision, found.facts) == (there.kind, there.revision, there.facts)
        assert found.what == "archive"


def test_vectors_are_told_from_models_in_folder_and_archive(tmp_path):
    folder = forging.write(tmp_path / "vectors", forging.VECTORS)
    (tmp_path / "v.zip").write_bytes(forging.zipped(forging.VECTORS))
    for place in (folder, tmp_path / "v.zip"):
        found = inspect_location(str(place))
        assert (found.kind, found.safe, found.facts.dimensions) == ("vectors", True, 3)


def test_vectors_without_queries_are_not_safe_to_take(tmp_path):
    files = {name: raw for name, raw in forging.VECTORS.items() if not name.startswith("queries.n")}
    found = inspect_location(str(forging.write(tmp_path / "vectors", files)))
    assert "has no vectors of the queries" in found.why


def test_a_run_is_told_by_its_lines_plain_and_packed(tmp_path):
    lines = b"".join(b"q1 Q0 d%d 1 %d.5 tag\n" % (n, 200 - n) for n in range(150))
    (tmp_path / "a.trec").write_bytes(lines)
    (tmp_path / "a.trec.gz").write_bytes(forging.gzipped(lines))
    (tmp_path / "a.txt").write_bytes(b"hello\n")
    assert inspect_location(str(tmp_path / "a.trec")).kind == "run"
    assert inspect_location(str(tmp_path / "a.trec.gz")).kind == "run"
    assert inspect_location(str(tmp_path / "a.txt")).kind is None


def test_a_hostile_archive_is_described_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "evil.zip").write_bytes(forging.zipped({"../config.json": b"{}"}))
    found = inspect_location(str(tmp_path / "evil.zip"))
    assert (found.kind, found.safe) == (None, False)
    assert found.why.startswith("error[ARCHIVE-NAME]: ")
    assert list((tmp_path / "tmp").iterdir()) == []


HALF = "\ud800"  # of a character: JSON may hold it, no text may


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"model.safetensors": forging.safetensors({"w": forging.tensor([1], 0, 4, [])}, b"\0" * 4)},
         "MODEL-WEIGHTS"),
        ({"modules.json": [module("Transformer")], LIBRARY: {"model_type": []}}, "MODEL-CONFIG"),
        ({"config.json": config("BertModel", vocab_size=10**400)}, "MODEL-SIZE"),
        ({"modules.json": [module("Transformer", "\0")]}, "MODEL-CONFIG"),
        ({"modules.json": [module("Transformer", "a" * 300)]}, "MODEL-CONFIG"),
        ({"modules.json": [module("Transformer", HALF)]}, "MODEL-CONFIG"),
        ({"config.json": config(f"X{HALF}")}, "MODEL-CONFIG"),
        ({"config.json": config("X\0")}, "MODEL-CONFIG"),
        ({LIBRARY: {"prompts": {"query": HALF}}}, "MODEL-CONFIG"),
    ],
)  # fmt: skip
def test_a_few_bytes_that_crashed_it_are_refused_and_can_be_shown(tmp_path, files, code):
    found = inspected(tmp_path, **files)
    assert found.why.startswith(f"error[{code}]: ")
    json.dumps(found.to_dict(), ensure_ascii=False).encode()
    assert "\0" not in found.because


def test_a_link_to_itself_is_refused(tmp_path):
    folder = forging.write(tmp_path / "model", forging.MODEL)
    (folder / "vocab.txt").symlink_to("vocab.txt")
    assert inspect_location(str(folder)).why.startswith("error[MODEL-LINK]: vocab.txt ")


def test_a_name_that_leads_nowhere_is_wrong_input():
    with pytest.raises(EvaluationError, match="MODEL-MISSING"):
        inspect_location("./no/such/place")
    with pytest.raises(EvaluationError, match="MODEL-ID"):
        inspect_location("nothing")


def test_the_command_prints_lines_or_json(tmp_path):
    folder = forging.write(tmp_path / "model", WHOLE)
    command = [sys.executable, "-m", "evaluations", "inspect", str(folder)]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "kind: dense" in lines
    assert "parameters: 20" in lines
    shown = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(shown)["parameters"] == 20
