"""The kind `fusion`: what its members and options may be, and that it fuses what they find alone."""

import json

import numpy as np
import pytest

from evaluations import pipeline
from evaluations.comparison import lines
from evaluations.datasets import load
from evaluations.errors import EvaluationError
from evaluations.pipeline import Request
from evaluations.report import read_report, report_from_dict
from evaluations.search.fusion import min_max
from evaluations.systems.parse import parse_system, spec_from_dict
from evaluations.systems.trec import read_run

QUERIES = {"q1": "swept wing lift", "q2": "boundary layer heat"}
TWO = ["bm25", "bm25"]


@pytest.fixture
def run_of(tmp_path):
    def write(name, text):
        path = tmp_path / f"{name}.trec"
        path.write_text(text)
        return f"run:{path}"

    return write


def refusal(settings=(), members=TWO):
    with pytest.raises(EvaluationError) as caught:
        parse_system("fusion", settings, members)
    return str(caught.value)


def evaluated(dataset, out, members, *settings):
    return pipeline.evaluate(Request(parse_system("fusion", settings, members), out), dataset)


def found_in(out):
    lists = read_run(out / "run.trec.gz", QUERIES).lists
    return {
        query: dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))
        for query, ranked in lists.items()
    }


def test_it_works_on_runs_by_hand(write_dataset, run_of, tmp_path):
    one = run_of("one", "q1 Q0 d1 1 3 t\nq1 Q0 d2 2 2 t\nq1 Q0 d3 3 1 t\n")
    other = run_of("other", "q1 Q0 d3 1 9 t\nq1 Q0 d2 2 8 t\n")
    evaluated(load(write_dataset()), tmp_path / "out", [one, other], "weights=0.7,0.3")
    # one: d1 1, d2 0.5, d3 0; other: d3 1, d2 0, and d1, which it lacks, 0
    assert found_in(tmp_path / "out") == {"q1": pytest.approx({"d1": 0.7, "d2": 0.35, "d3": 0.3})}


def test_it_equals_fusing_the_runs_that_the_members_write_alone(write_dataset, tmp_path):
    dataset = load(write_dataset(queries=[("q1", "swept d1 wing"), ("q2", "boundary layer heat")]))
    alone = []
    for name, b in (("one", "b=0.1"), ("other", "b=0.9")):
        pipeline.evaluate(Request(parse_system("bm25", [b]), tmp_path / name), dataset)
        alone.append(f"run:{tmp_path / name / 'run.trec.gz'}")
    record = {"kind": "fusion", "members": [{"kind": "bm25", "options": {"b": b}} for b in (0.1, 0.9)]}
    pipeline.evaluate(Request(spec_from_dict(record), tmp_path / "real"), dataset)
    evaluated(dataset, tmp_path / "of-runs", alone)
    assert found_in(tmp_path / "real") == found_in(tmp_path / "of-runs") != {}


def test_self_hits_are_out_of_the_members_lists_before_they_are_scaled(write_dataset, run_of, tmp_path):
    """A query that finds itself would squeeze all others' scores."""
    one = run_of("one", "q1 Q0 q1 1 100 t\nq1 Q0 d1 2 3 t\nq1 Q0 d2 3 2 t\nq1 Q0 d3 4 1 t\n")
    other = run_of("other", "q1 Q0 d2 1 2 t\nq1 Q0 d1 2 1 t\n")
    documents = [("q1", "", "wing"), *((f"d{i}", "", "wing") for i in (1, 2, 3))]
    dataset = load(write_dataset(documents=documents), self_hits="remove")
    evaluated(dataset, tmp_path / "out", [one, other])
    assert found_in(tmp_path / "out")["q1"] == pytest.approx({"d2": 1.5, "d1": 1.0, "d3": 0.0})


def test_a_query_that_only_one_member_answers_is_answered(write_dataset, run_of, tmp_path):
    one, other = run_of("one", "q1 Q0 d1 1 3 t\n"), run_of("other", "q2 Q0 d2 1 3 t\n")
    evaluated(load(write_dataset()), tmp_path / "out", [one, other], "method=rrf")
    assert found_in(tmp_path / "out") == {
        "q1": pytest.approx({"d1": 1 / 61}),
        "q2": pytest.approx({"d2": 1 / 61}),
    }


def test_runs_are_fused_where_there_is_no_corpus_and_their_depth_counts(write_dataset, run_of, tmp_path):
    one, other = run_of("one", "q1 Q0 d1 1 3 t\n"), run_of("other", "q1 Q0 d2 1 3 t\n")
    report = evaluated(load(write_dataset(documents=None)), tmp_path / "out", [one, other])
    assert report.tracks["retrieval"].metrics["R@1000"] is None
    assert report.tracks["retrieval"].details["run_depth_max"] == 2
    assert report.tracks["sparsity"].metrics["parameters"] is None
    assert report.tracks["sparsity"].reasons["parameters"].startswith("member 1 (run): a run says nothing")


def test_a_member_that_needs_the_corpus_is_refused_where_there_is_none(write_dataset, run_of, tmp_path):
    one = run_of("one", "q1 Q0 d1 1 3 t\n")
    with pytest.raises(EvaluationError, match=r"DATASET-CORPUS.*fusion needs one"):
        evaluated(load(write_dataset(documents=None)), tmp_path / "out", [one, "bm25"])


def test_a_members_warning_says_whose_it_is(write_dataset, run_of, tmp_path):
    one = run_of("one", "q1 Q0 d1 1 3 t\nq1 Q0 x9 2 1 t\n")
    report = evaluated(load(write_dataset()), tmp_path / "out", ["bm25", one])
    assert report.system["warnings"] == [
        "member 2 (run): 1 documents of the run are not in the corpus, such as x9"
    ]


def test_a_report_names_members_with_what_adds_up(write_dataset, tmp_path):
    report = evaluated(load(write_dataset()), tmp_path / "out", TWO)
    assert read_report(tmp_path / "out") == report
    assert [member["kind"] for member in report.system["members"]] == TWO
    found = report.tracks["sparsity"]
    parts = found.details["members"]
    assert [part["part"] for part in parts] == ["member 1 (bm25)", "member 2 (bm25)"]
    assert found.metrics["index_bytes"] == sum(part["metrics"]["index_bytes"] for part in parts) > 0
    assert found.metrics["parameters"] == 0
    assert {found.metrics[name] for name in ("flops", "query_active_dims_mean")} == {None}
    assert set(found.reasons) == {name for name, value in found.metrics.items() if value is None}
    first = next(lines(report, report))
    assert first == "A: fusion of bm25, bm25 on tiny (test)"


def test_a_report_whose_members_make_no_sense_is_refused(write_dataset, tmp_path):
    report = evaluated(load(write_dataset()), tmp_path / "out", TWO).to_dict()
    for broken in ("bm25", ["bm25"], [{"kind": "bm25"}]):
        with pytest.raises(EvaluationError, match=r"REPORT-INVALID.*system\.members"):
            report_from_dict({**report, "system": {**report["system"], "members": broken}})


@pytest.mark.parametrize(
    ("settings", "members", "message"),
    [
        ([], ["bm25"], "SYSTEM-MEMBERS]: fusion needs 2 to 8 members; 1 given"),
        ([], ["bm25"] * 9, "SYSTEM-MEMBERS]: fusion needs 2 to 8 members; 9 given"),
        ([], ["bm25", "fusion"], "SYSTEM-MEMBERS]: 'fusion' cannot be a member of fusion; it takes: bm25,"),
        ([], ["bm25", "rerank:a/b"], "SYSTEM-MEMBERS]: 'rerank' cannot be a member of fusion"),
        ([], ["bm25", "bm26"], "SYSTEM-MEMBERS]: 'bm26' cannot be a member of fusion"),
        (["weights=1"], TWO, "OPTION-RANGE]: option weights: '1' must be 2 numbers, one a member, such"),
        (["weights=1,2,3"], TWO, "OPTION-RANGE]: option weights: '1,2,3' must be 2 numbers"),
        (["weights=1;2"], TWO, "OPTION-RANGE]: option weights"),
        (["weights=1,x"], TWO, "OPTION-RANGE]: option weights"),
        (["weights=1,-1"], TWO, "OPTION-RANGE]: option weights: '1,-1' must be numbers from 0 to 1000"),
        (["weights=1,nan"], TWO, "OPTION-RANGE]: option weights"),
        (["weights=inf,1"], TWO, "OPTION-RANGE]: option weights"),
        (["weights=0,0"], TWO, "OPTION-RANGE]: option weights: '0,0' must be numbers from 0 to 1000, not"),
        (["method=rrf", "normalisation=rank"], TWO, "OPTION-UNUSED]: option normalisation: the method rrf"),
        (["rrf_k=60"], TWO, "OPTION-UNUSED]: option rrf_k: the method weighted-sum does not read it"),
        (["method=rrf", "rrf_k=0"], TWO, "OPTION-RANGE]: option rrf_k"),
        (["method=borda"], TWO, "OPTION-RANGE]: option method"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_reason(settings, members, message):
    assert refusal(settings, members).startswith(f"error[{message}")


def test_other_kinds_take_no_members():
    with pytest.raises(EvaluationError, match=r"SYSTEM-MEMBERS.*bm25 is made of no other systems"):
        parse_system("bm25", (), ["bm25"])


def test_what_is_not_said_is_filled_in_and_written_in_one_way():
    assert dict(parse_system("fusion", (), TWO).options) == {
        "method": "weighted-sum", "normalisation": "min-max", "rrf_k": None, "weights": "1,1"
    }  # fmt: skip
    assert dict(parse_system("fusion", ["method=rrf"], TWO).options) == {
        "method": "rrf", "normalisation": None, "rrf_k": 60, "weights": "1,1"
    }  # fmt: skip
    spec = parse_system("fusion", ["weights=0.70, 1e0"], TWO)
    assert spec.options["weights"] == "0.7,1"
    assert spec == parse_system("fusion", ["weights=0.7,1.0", "normalisation=min-max"], TWO)
    assert spec_from_dict(json.loads(spec.to_json())) == spec


def test_members_are_of_the_content_and_other_kinds_are_written_as_before():
    fusion = parse_system("fusion", (), ["bm25", "dense:a/b"])
    assert fusion.to_json() != parse_system("fusion", (), ["dense:a/b", "bm25"]).to_json()
    assert "members" not in parse_system("bm25").to_dict()


def test_a_file_names_members_as_texts_or_tables(tmp_path):
    toml = tmp_path / "system.toml"
    toml.write_text(
        'kind = "fusion"\n[options]\nweights = "0.7,0.3"\n'
        '[[members]]\nkind = "dense"\nlocation = "org/name"\n[members.options]\nmax_length = 128\n'
        '[[members]]\nkind = "bm25"\n'
    )
    text = tmp_path / "system.json"
    text.write_text(json.dumps({"kind": "fusion", "members": ["dense:org/name", "bm25"]}))
    first = parse_system(str(toml))
    assert [str(member) for member in first.members] == ["dense:org/name", "bm25"]
    assert first.members[0].options["max_length"] == 128
    assert parse_system(str(text)) == parse_system("fusion", (), ["dense:org/name", "bm25"])
    assert parse_system(str(text), (), TWO).members[0].kind == "bm25"  # the command line goes before a file


@pytest.mark.parametrize(
    "members", ['"bm25"', "[3]", '[{"kind": "bm25", "extra": 1}, "bm25"]', '[{"location": "x"}, "bm25"]']
)
def test_members_that_make_no_sense_are_refused(tmp_path, members):
    path = tmp_path / "system.json"
    path.write_text(f'{{"kind": "fusion", "members": {members}}}')
    with pytest.raises(EvaluationError, match="SYSTEM-"):
        parse_system(str(path))


def test_a_file_that_names_itself_is_refused(tmp_path):
    path = tmp_path / "system.json"
    path.write_text(json.dumps({"kind": "fusion", "members": [str(path), "bm25"]}))
    with pytest.raises(EvaluationError, match=r"SYSTEM-MEMBERS.*'fusion' cannot be a member"):
        parse_system(str(path))


def test_pinning_pins_every_member(run_of):
    from evaluations.systems import KINDS

    spec = parse_system("fusion", (), ["bm25", run_of("one", "q1 Q0 d1 1 3 t\n")])
    assert KINDS["fusion"].pin(spec).members[1].revision.startswith("sha256:")


def test_a_real_ensemble_of_words_and_vectors(write_dataset, minilm, tmp_path):
    dataset = load(write_dataset())
    report = evaluated(dataset, tmp_path / "out", [f"dense:{minilm}", "bm25"], "weights=0.7,0.3")
    lists = {}
    for name, system in (("dense", f"dense:{minilm}"), ("bm25", "bm25")):
        pipeline.evaluate(Request(parse_system(system), tmp_path / name), dataset)
        lists[name] = found_in(tmp_path / name)
    for query, found in found_in(tmp_path / "out").items():
        expected = dict.fromkeys(found, 0.0)
        for name, weight in (("dense", 0.7), ("bm25", 0.3)):
            values = lists[name][query]
            scaled = min_max(np.array(list(values.values()))).scores
            for key, value in zip(values, scaled, strict=True):
                expected[key] += weight * value
        assert found == pytest.approx(expected, abs=1e-6)
    found = report.tracks["sparsity"].metrics
    assert found["parameters"] == 22_713_216
    assert report.system["members"][0]["files"]
    assert report.provenance["runtime"]["member_1"].startswith("dense: device cpu")
