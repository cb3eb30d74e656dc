"""From the text of a system to a checked spec."""

import json

import pytest

from evaluations.errors import EvaluationError
from evaluations.systems import KINDS
from evaluations.systems.parse import parse_system, spec_from_dict


def refusal(text: str, *settings: str) -> str:
    with pytest.raises(EvaluationError) as caught:
        parse_system(text, settings)
    return str(caught.value)


def test_bm25_has_its_options_filled_in():
    spec = parse_system("bm25")
    assert dict(spec.options) == {
        "k1": 1.5, "b": 0.75, "method": "lucene", "stemmer": "english", "stopwords": "english"
    }  # fmt: skip
    assert (spec.kind, spec.location, spec.revision) == ("bm25", None, None)


def test_bm25_over_a_models_vocabulary_stems_nothing():
    spec = parse_system("bm25:org/name@v1.0", ["k1=0.9"])
    assert (spec.location, spec.revision) == ("org/name", "v1.0")
    assert (spec.options["stemmer"], spec.options["stopwords"], spec.options["k1"]) == ("none", "none", 0.9)
    assert spec == parse_system("bm25:org/name@v1.0", ["k1=0.9", "stemmer=none", "stopwords=none"])
    assert str(spec) == "bm25:org/name@v1.0"


def test_a_model_may_have_a_revision():
    spec = parse_system("dense:org/name@v1.0")
    assert (spec.location, spec.revision) == ("org/name", "v1.0")


def test_the_name_of_a_run_file_may_hold_an_at():
    assert parse_system("run:a@b.trec").location == "a@b.trec"


def test_options_are_typed():
    spec = parse_system("bm25", ["k1=1", "method=bm25+"])
    assert spec.options["k1"] == 1.0
    assert type(spec.options["k1"]) is float
    assert parse_system("run:x", ["exhausted=true"]).options["exhausted"] is True
    assert parse_system("dense:a/b", ["max_length=128"]).options["max_length"] == 128
    assert parse_system("dense:a/b", ["max_length=none"]).options["max_length"] is None


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("bm25", ["k2=1"], "error[OPTION-UNKNOWN]: bm25 has no option 'k2'; it has: k1, b, method"),
        ("bm25", ["k1=high"], "error[OPTION-TYPE]: option k1: 'high' is not a number"),
        ("bm25", ["b=1.5"], "error[OPTION-RANGE]: option b: '1.5' must be from 0 to 1"),
        ("bm25", ["k1=nan"], "error[OPTION-RANGE]: option k1: 'nan'"),
        ("bm25", ["method=tf-idf"], "error[OPTION-RANGE]: option method: 'tf-idf' must be one of lucene,"),
        ("bm25", ["k1"], "error[OPTION-SYNTAX]"),
        ("dense:a/b", ["max_length=0"], "error[OPTION-RANGE]"),
        ("dense:a/b", ["precision=fp8"], "error[OPTION-RANGE]"),
        ("run:x", ["exhausted=yes"], "error[OPTION-TYPE]: option exhausted: 'yes' is not true or false"),
        ("bm25", ["precision=fp32"], "error[OPTION-UNKNOWN]"),
        ("dense:a/b", ["query_prompt=" + "x" * 2001], "error[OPTION-RANGE]: option query_prompt"),
        ("bm25:@main", [], "error[SYSTEM-LOCATION]: bm25 has a revision, and no model that it is of; write"),
        ("bm25:a/b", ["stemmer=english"], "error[OPTION-UNUSED]: option stemmer does not apply where"),
        ("bm25:a/b", ["stopwords=english"], "error[OPTION-UNUSED]: option stopwords does not apply"),
        ("dense", [], "error[SYSTEM-LOCATION]: dense needs a model; write dense:ORG/NAME[@REVISION]"),
        ("run:", [], "error[SYSTEM-LOCATION]: run needs a file; write run:FILE"),
        ("vectors", [], "error[SYSTEM-LOCATION]: vectors needs a folder; write vectors:FOLDER"),
        ("bm26", [], "error[SYSTEM-KIND]: no kind of system 'bm26'; there are: bm25, dense, "),
        ("", [], "error[SYSTEM-KIND]"),
        ("missing.json", [], "error[SYSTEM-FILE]"),
    ],
)
def test_wrong_input_is_refused_by_name_with_what_is_allowed(text, settings, message):
    assert refusal(text, *settings).startswith(message)


def test_true_is_no_number():
    with pytest.raises(EvaluationError, match="OPTION-TYPE"):
        KINDS["bm25"].spec(options={"k1": True})


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_file_says_the_same_as_a_text(tmp_path, suffix):
    path = tmp_path / f"system{suffix}"
    if suffix == ".toml":
        path.write_text('kind = "dense"\nlocation = "org/name"\n[options]\nquery_prompt = "query: "\n')
    else:
        path.write_text(
            json.dumps({"kind": "dense", "location": "org/name", "options": {"query_prompt": "query: "}})
        )
    assert parse_system(str(path)) == parse_system("dense:org/name", ["query_prompt=query: "])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"kind": 3}',
        '{"kind": "bm25", "extra": 1}',
        '{"kind": "bm25", "options": [1]}',
        "[" * 10**5,
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, content):
    path = tmp_path / "system.json"
    path.write_text(content)
    assert refusal(str(path)).startswith("error[SYSTEM-")


def test_a_spec_survives_its_own_dictionary():
    for spec in (
        parse_system("bm25", ["k1=0.9"]),
        parse_system("dense:org/name@main"),
        parse_system("run:file"),
    ):
        assert spec_from_dict(spec.to_dict()) == spec
        assert spec_from_dict(json.loads(spec.to_json())).to_json() == spec.to_json()


def test_the_same_system_has_the_same_canonical_text_however_it_was_written():
    assert (
        parse_system("bm25", ["b=0.4", "k1=0.9"]).to_json()
        == parse_system("bm25", ["k1=0.90", "b=0.4"]).to_json()
    )


def test_a_spec_cannot_be_changed():
    spec = parse_system("bm25")
    with pytest.raises(TypeError):
        spec.options["k1"] = 2


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_described_so_that_a_form_can_show_it(kind):
    assert KINDS[kind.name] is kind
    assert kind.title
    assert kind.help.endswith(".")
    for option in kind.options:
        assert option.help.endswith(".")
        assert option.checked(option.default) == option.default
