"""What a person may write after --sweep."""

import pytest

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps import SWEEPS, parse_sweep, parse_sweeps, sweeps_for
from evaluations.systems import KINDS


def refused(*texts, kind="dense"):
    with pytest.raises(EvaluationError) as caught:
        parse_sweeps(texts, kind)
    return caught.value.code, caught.value.message


def test_it_works():
    curve = parse_sweep("weights=10,50", "dense")
    assert (curve.sweep.name, curve.variant.name, curve.values) == ("weights", "magnitude", ("10", "50"))


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("weights:random= 20, 010 ,20", "dense", "weights:random=10,20"),
        ("weights:magnitude=10", "dense", "weights=10"),
        ("weights:nm=1:4,4:8", "dense", "weights:nm=4:8,1:4"),
        ("weights=0", "dense", "weights=0"),
        ("vector-bits", "dense", "vector-bits=8,4,1"),
        ("document-terms=8,64,16", "sparse", "document-terms=64,16,8"),
        ("attention:window=8", "late-interaction", "attention:window=8"),
        ("soup=org/b@v1+org/c,org/d", "dense", "soup=org/b@v1+org/c,org/d"),
    ],
)
def test_a_curve_has_one_spelling_with_its_values_from_the_least_sparse_on(text, kind, written):
    assert str(parse_sweep(text, kind)) == written
    assert str(parse_sweep(written, kind)) == written


def test_the_value_that_changes_nothing_is_left_out_since_every_curve_has_that_point():
    assert parse_sweep("weights=0,50", "dense").values == ("50",)
    assert parse_sweep("vector-bits=32,8", "dense").values == ("8",)
    assert parse_sweep("weights=0", "dense").values == ()


@pytest.mark.parametrize(
    "text", ["weights=100", "weights=-1", "weights=1.5", "weights=ten", "weights=10,,20"]
)
def test_values_out_of_range_are_refused_with_what_is_allowed(text):
    code, message = refused(text)
    assert code == "SWEEP-VALUE"
    assert "sweep weights" in message
    assert "from 1 to 99" in message


@pytest.mark.parametrize(
    "text", ["weights:nm=4:4", "weights:nm=5:4", "weights:nm=2:65", "weights:nm=2", "weights:nm=0:4"]
)
def test_a_pattern_keeps_fewer_than_it_counts(text):
    assert refused(text)[0] == "SWEEP-VALUE"


def test_more_values_than_a_curve_may_have_are_refused():
    assert refused("weights=" + ",".join(map(str, range(1, 22))))[0] == "SWEEP-VALUE"


def test_more_points_than_a_request_may_have_are_refused():
    values = ",".join(map(str, range(1, 21)))
    code, message = refused(
        *(f"{name}={values}" for name in ("weights", "weights:random", "weights:layer", "attention"))
    )
    assert code == "SWEEP-VALUE"
    assert "80 points" in message


def test_a_sweep_that_does_not_fit_the_kind_is_refused_with_those_that_do():
    code, message = refused("document-terms=8")
    assert code == "SWEEP-KIND"
    assert "document-terms is of sparse and vectors, not of dense" in message
    assert "dense takes: dimensions, vector-bits" in message


def test_a_kind_without_sweeps_is_told_so():
    assert "run takes none" in refused("weights=10", kind="run")[1]


def test_unknown_names_are_refused_with_those_that_there_are():
    assert refused("wieghts=10")[0] == "SWEEP-UNKNOWN"
    code, message = refused("weights:smallest=10")
    assert code == "SWEEP-VARIANT"
    assert "magnitude, random, layer, nm" in message


def test_a_curve_is_asked_for_once():
    assert refused("weights=10", "weights:magnitude=20")[0] == "SWEEP-TWICE"
    assert len(parse_sweeps(["weights=10", "weights:random=10"], "dense")) == 2


def test_a_soup_needs_its_checkpoints():
    assert refused("soup")[0] == "SWEEP-VALUE"


def test_every_declared_kind_is_a_kind_and_every_default_is_allowed():
    for sweep in SWEEPS.values():
        assert set(sweep.kinds) <= set(KINDS)
        for variant in sweep.variants:
            assert [variant.values.checked(value) for value in variant.values.default] == list(
                variant.values.default
            )
            assert (variant.vectors is None) != (variant.model is None)


def test_what_fits_a_kind_is_declared():
    assert [sweep.name for sweep in sweeps_for("sparse")] == [
        "document-terms", "query-terms", "impact-bits", "weights", "activations", "attention", "experts",
        "length", "soup",
    ]  # fmt: skip
    assert [sweep.name for sweep in sweeps_for("run")] == []
