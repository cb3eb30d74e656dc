"""Effectiveness per query, against pytrec_eval itself and against arithmetic by hand."""

import math

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from evaluations.errors import EvaluationError
from evaluations.retrieval import measures, scoring
from evaluations.search.order import id_ranks, top_k
from evaluations.systems import RankedList, Run


def ranked(scores: dict[str, float]) -> RankedList:
    ids, values = list(scores), np.array(list(scores.values())).astype(np.float32)
    order = top_k(values, id_ranks(ids), len(ids))
    return RankedList([ids[i] for i in order], values[order])


def run_of(scores: dict[str, dict[str, float]]) -> Run:
    return Run({query: ranked(documents) for query, documents in scores.items()})


def values(run: Run, qrels, *names: str) -> dict[str, dict[str, float]]:
    return scoring.per_query_values(run, qrels, measures.parse_measures(",".join(names)))


def test_it_works_by_hand():
    """q1: grades 0, 2, 1 at ranks 1 to 3, and one relevant document of grade 1 that is missing."""
    run = run_of({"q1": {"a": 3, "b": 2, "c": 1}})
    qrels = {"q1": {"a": 0, "b": 2, "c": 1, "d": 1}}
    found = values(run, qrels, "nDCG@10", "RR@10", "P@10", "R@100", "AP@1000", "Judged@10")
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["nDCG@10"]["q1"] == pytest.approx((2 / math.log2(3) + 1 / math.log2(4)) / ideal, rel=1e-12)
    assert found["RR@10"]["q1"] == 1 / 2
    assert found["P@10"]["q1"] == 2 / 10
    assert found["R@100"]["q1"] == pytest.approx(2 / 3)
    assert found["AP@1000"]["q1"] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert found["Judged@10"]["q1"] == 1.0


DOCUMENTS = [f"d{i}" for i in range(12)]
# Few distinct values, some of which are equal in float32 only.
SCORES = st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 1.0 + 1e-7, 1.0 + 2e-7, 2.0, -1.0])
RANKINGS = st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1)
RUNS = st.dictionaries(st.sampled_from(["q1", "q2", "q3", "extra"]), RANKINGS)
QRELS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1),
    min_size=1,
)
CUT = {"nDCG": "ndcg_cut", "R": "recall", "P": "P", "AP": "map_cut"}
PYTREC_EVAL = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG@5": "ndcg_cut_5",
    "R@5": "recall_5",
    "P@10": "P_10",
    "AP@1000": "map_cut_1000",
    "AP": "map",
    "RR": "recip_rank",
    "Success@5": "success_5",
    "Rprec": "Rprec",
    "Bpref": "bpref",
}


@given(RUNS, QRELS)
def test_each_query_equals_pytrec_eval_on_tied_runs_with_missing_and_extra_queries(scores, qrels):
    expected = pytrec_eval.RelevanceEvaluator(qrels, set(PYTREC_EVAL.values())).evaluate(scores)
    found = values(run_of(scores), qrels, *PYTREC_EVAL)
    for name, key in PYTREC_EVAL.items():
        assert found[name] == {query: expected.get(query, {}).get(key, 0.0) for query in qrels}


def test_each_query_equals_pytrec_eval_to_the_last_bit_on_long_lists_with_many_relevant_documents():
    """Sums of hundreds of terms tell one order of additions from another."""
    generator = np.random.default_rng(0)
    scores, qrels = {}, {}
    for query in map(str, range(40)):
        documents = [f"d{i}" for i in generator.permutation(1500)]
        scores[query] = {document: float(1500 - place) for place, document in enumerate(documents[:1000])}
        found = generator.choice(1500, int(generator.integers(1, 1500)), replace=False)
        qrels[query] = {documents[i]: int(generator.integers(-1, 5)) for i in found}
    names = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in CUT.items() for k in (1, 10, 37, 1000)}
    expected = pytrec_eval.RelevanceEvaluator(qrels, set(names.values()) | {"recip_rank"}).evaluate(scores)
    found = values(run_of(scores), qrels, *names, "RR@1000", "RR@3")
    for name, key in names.items():
        assert found[name] == {query: expected[query][key] for query in qrels}
    first = {query: expected[query]["recip_rank"] for query in qrels}
    assert found["RR@1000"] == first
    assert found["RR@3"] == {query: value if value >= 1 / 3 else 0.0 for query, value in first.items()}


@given(RUNS, QRELS)
def test_the_usual_measures_equal_ir_measures_which_stays_the_reference(scores, qrels):
    names = [*measures.DEFAULT_NAMES, "RR@2", "Judged@3", "nDCG@2", "R@1", "P@3", "AP@2"]
    run, parsed = run_of(scores), measures.parse_measures(",".join(names))
    found = scoring.per_query_values(run, qrels, parsed)
    answered = {query: run.lists[query] for query in qrels if query in run.lists}
    expected = {str(measure): dict.fromkeys(qrels, 0.0) for measure in parsed}
    if answered:
        places = {
            query: {document: float(-place) for place, document in enumerate(each.document_ids)}
            for query, each in answered.items()
        }
        for value in ir_measures.iter_calc(parsed, {query: qrels[query] for query in answered}, places):
            expected[str(value.measure)][value.query_id] = value.value
    assert found == expected


@given(RUNS, QRELS)
def test_rr_at_1000_equals_rr_on_tied_runs(scores, qrels):
    """The one is computed here, the other by ir-measures, whose providers break ties in opposite ways."""
    found = values(run_of(scores), qrels, "RR@1000", "RR")
    assert found["RR@1000"] == found["RR"]


@given(RUNS, QRELS)
def test_judged_counts_the_first_ten_in_the_one_order(scores, qrels):
    run = run_of(scores)
    found = values(run, qrels, "Judged@10")["Judged@10"]
    for query in qrels:
        first = list(run.lists[query].document_ids[:10]) if query in run.lists else []
        assert found[query] == (sum(each in qrels[query] for each in first) / len(first) if first else 0.0)


@given(RUNS, QRELS)
def test_nothing_is_nan_and_nothing_given_is_changed(scores, qrels):
    run = run_of(scores)
    before = ({query: list(each.document_ids) for query, each in run.lists.items()}, str(qrels))
    result = scoring.effectiveness(run, qrels, measures.default_measures())
    assert all(math.isfinite(value) for value in result.findings.metrics.values())
    assert before == ({query: list(each.document_ids) for query, each in run.lists.items()}, str(qrels))


def test_a_judged_query_missing_from_the_run_scores_zero_and_still_counts():
    run = run_of({"q1": {"a": 1}})
    result = scoring.effectiveness(run, {"q1": {"a": 1}, "q2": {"a": 1}}, measures.default_measures())
    assert result.per_query["nDCG@10"] == {"q1": 1.0, "q2": 0.0}
    assert result.findings.metrics["nDCG@10"] == 0.5
    assert result.findings.details["queries"] == {"judged": 2, "answered": 1}


def test_a_query_with_an_empty_list_scores_zero():
    run = Run({"q1": RankedList([], np.empty(0, dtype=np.float32))})
    assert values(run, {"q1": {"a": 1}}, "Judged@10", "nDCG@10", "RR@10") == {
        "Judged@10": {"q1": 0.0},
        "nDCG@10": {"q1": 0.0},
        "RR@10": {"q1": 0.0},
    }


def test_an_empty_run_scores_zero_everywhere():
    result = scoring.effectiveness(Run({}), {"q1": {"a": 1}}, measures.default_measures())
    assert set(result.findings.metrics.values()) == {0.0}


def test_a_query_whose_grades_are_all_zero_counts_with_zero():
    result = scoring.effectiveness(
        run_of({"q1": {"a": 1}, "q2": {"a": 1}}),
        {"q1": {"a": 1}, "q2": {"a": 0}},
        measures.default_measures(),
    )
    assert result.findings.metrics["nDCG@10"] == 0.5


def test_the_self_hit_is_removed_before_the_cut():
    run = run_of({"q1": {"q1": 9, "a": 2, "b": 1}, "q2": {"a": 2, "b": 1}})
    kept = scoring.cut(scoring.without_self_hits(run), depth=2)
    assert list(kept.lists["q1"].document_ids) == ["a", "b"]
    assert kept.lists["q1"].scores.tolist() == [2.0, 1.0]
    assert list(kept.lists["q2"].document_ids) == ["a", "b"]
    assert list(run.lists["q1"].document_ids) == ["q1", "a", "b"]


TOP_3 = {"q1": {"a": 3, "b": 2, "c": 1}}


def test_a_measure_deeper_than_a_submitted_run_is_null_with_the_reason():
    names = measures.parse_measures("nDCG@3,R@100,AP,RR")
    result = scoring.effectiveness(run_of(TOP_3), {"q1": {"a": 1}}, names, complete_depth=1000)
    assert result.findings.metrics == {"nDCG@3": 1.0, "R@100": None, "AP": None, "RR": None}
    assert set(result.findings.reasons) == {"R@100", "AP", "RR"}
    assert "3 documents" in result.findings.reasons["R@100"]
    assert set(result.per_query) == {"nDCG@3"}


def test_no_depth_is_missing_where_the_run_holds_the_whole_corpus():
    names = measures.parse_measures("R@100")
    complete = scoring.complete_depth(3, self_hits_removed=False)
    result = scoring.effectiveness(run_of(TOP_3), {"q1": {"a": 1}}, names, complete_depth=complete)
    assert result.findings.metrics == {"R@100": 1.0}


@pytest.mark.parametrize(
    ("documents", "removed", "depth"),
    [(None, False, 1000), (5000, True, 1000), (300, False, 300), (300, True, 299)],
)
def test_a_whole_list_is_as_long_as_the_depth_or_the_corpus(documents, removed, depth):
    assert scoring.complete_depth(documents, self_hits_removed=removed) == depth


def test_our_own_systems_are_never_too_shallow():
    result = scoring.effectiveness(run_of(TOP_3), {"q1": {"a": 1}}, measures.default_measures())
    assert None not in result.findings.metrics.values()
    assert result.findings.details["run_depth_max"] == 3


def test_measures_keep_their_names_and_commas_inside_brackets():
    parsed = measures.parse_measures("nDCG@20, P(rel=2,judged_only=True)@10 ,RR@7,Judged@5,nDCG@20")
    assert [str(each) for each in parsed] == ["nDCG@20", "P(rel=2,judged_only=True)@10", "RR@7", "Judged@5"]


def test_a_relevance_level_is_passed_on():
    assert values(run_of(TOP_3), {"q1": {"a": 1, "b": 2}}, "RR(rel=2)@10", "P(rel=2)@2") == {
        "RR(rel=2)@10": {"q1": 0.5},
        "P(rel=2)@2": {"q1": 0.5},
    }


@pytest.mark.parametrize(
    "name",
    [
        "ERR@10",  # shells out to Perl
        "nERR@10",
        "alpha_nDCG@10",
        "nDCG(dcg='exp-log2')@10",
        "Accuracy@1",
        "NumRet",
        "NumQ",
        "Judged",
        "R",
        "nDCG@",
        "nonsense",
        "__import__('os').system('true')",
        "nDCG@10@10",
        "",
        ",".join(f"P@{i}" for i in range(1, 60)),
    ],
)
def test_other_measures_are_refused_by_name_with_what_is_allowed(name):
    with pytest.raises(EvaluationError, match=r"error\[METRIC-UNKNOWN\].*nDCG, AP, P, R, RR"):
        measures.parse_measures(name)


@pytest.mark.parametrize("name", ["nDCG@0", "R@1001", "P@-1"])
def test_a_cutoff_beyond_the_depth_that_is_kept_is_refused(name):
    with pytest.raises(EvaluationError, match=r"METRIC-(CUTOFF|UNKNOWN)"):
        measures.parse_measures(name)
