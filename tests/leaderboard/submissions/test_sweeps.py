"""Operating points as part of a submission: asked for by form or REST, refused, stored, counted."""

from html import unescape

import pytest
from django.test import Client

from leaderboard.submissions import submit, sweeps
from leaderboard.submissions.models import State, Submission
from tests.factories import make_submission

from .submitting import COMMIT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage", "known_model")]


def request(*asked, **fields):
    defaults = {"benchmark": "pets", "kind": "dense", "name": "Model", "location": "org/model"}
    return submit.SubmissionRequest(**defaults | fields, sweeps=asked)


def refused(given):
    with pytest.raises(submit.Refused) as refusal:
        submit.validate(given)
    assert Submission.objects.count() == 0
    return refusal.value.errors


@pytest.fixture
def browser(client, alice) -> Client:
    client.force_login(alice)
    return client


def form(**fields):
    return {"benchmark": "pets", "kind": "dense", "name": "Model", "location": "org/model"} | fields


def test_it_works(pets, alice):
    submission = submit.create(alice, submit.validate(request("weights=50,10", "vector-bits")))

    assert submission.sweeps == ["weights=10,50", "vector-bits=8,4,1"]
    assert submission.revision.version == COMMIT
    assert "weights" not in str(submission.revision.options)


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ("weights=100", "sweep-values-weights", "100 must be from 1 to 99"),
        ("weights:nm=4:2", "sweep-values-weights:nm", "is no pattern N:M"),
        ("document-terms=8", "sweeps", "of sparse and vectors, not of dense"),
        ("shrinking=8", "sweeps", "no sweep 'shrinking'"),
        ("soup=8", "sweep-values-soup", "There is no submission '8'"),
        ("weights:magnitude=0x", "sweep-values-weights", "is no whole number"),
    ],
)
def test_what_does_not_fit_is_refused_beside_its_input_with_the_reason(pets, asked, field, words):
    assert words in refused(request(asked))[field][0]


def test_too_many_points_are_refused(pets):
    values = ",".join(map(str, range(1, 21)))
    names = ("weights", "weights:random", "weights:layer", "activations")
    assert "80 points" in refused(request(*(f"{name}={values}" for name in names)))["sweeps"][0]


def test_a_kind_without_a_model_to_change_takes_none(pets):
    assert "bm25" in refused(request("weights=10", kind="bm25", location=""))["sweeps"][0]


def test_points_need_the_sparsity_track(pets):
    errors = refused(request("vector-bits=8", tracks="retrieval"))
    assert errors["sweeps"] == ("Operating points belong to the sparsity track; ask for it too.",)


def test_the_same_system_with_other_points_is_another_submission(pets, alice):
    first = submit.create(alice, submit.validate(request("vector-bits=8")))
    again = submit.create(alice, submit.validate(request("vector-bits=1")))

    assert again.revision == first.revision
    with pytest.raises(submit.Refused, match="exactly this before"):
        submit.create(alice, submit.validate(request("vector-bits=8")))
    with pytest.raises(submit.Refused, match="exactly this before"):
        submit.create(alice, submit.validate(request()))


def test_a_rerun_asks_for_the_same_points(pets, alice):
    first = submit.create(alice, submit.validate(request("vector-bits=8")))
    first.evaluations.update(state=State.SUCCEEDED)
    assert submit.rerun(first, alice).sweeps == ["vector-bits=8"]


def test_an_idempotency_key_is_of_the_points_too(pets, alice):
    submit.create(alice, submit.validate(request("vector-bits=8")), idempotency_key="k")
    with pytest.raises(submit.IdempotencyConflict):
        submit.create(alice, submit.validate(request("vector-bits=1")), idempotency_key="k")


def test_only_points_that_encode_again_are_a_workload():
    assert sweeps.workload("dense", []) == 1
    assert sweeps.workload("dense", ["vector-bits=8,1", "dimensions=64"]) == 1
    assert sweeps.workload("dense", ["weights=10,20,30", "length:queries=8", "vector-bits=8"]) == 5


def test_the_expected_time_grows_with_the_points(pets, alice):
    from datetime import timedelta

    from django.utils import timezone

    now = timezone.now()
    done = make_submission(owner=alice, benchmark=pets, sweeps=["weights=10"])
    done.revision.kind = "dense"
    done.revision.save()
    done.evaluations.update(state=State.SUCCEEDED, started_at=now - timedelta(seconds=80), finished_at=now)

    submission = submit.create(alice, submit.validate(request("weights=10,20,30")))

    # Two workloads took 80 s, so that four take 160 s.
    assert submission.evaluations.get(track="retrieval").expected_seconds == pytest.approx(160)


def test_the_form_offers_the_curves_that_fit_with_their_default_values(browser, pets):
    page = unescape(browser.get("/submit/", {"kind": "dense", "benchmark": "pets"}).content.decode())

    assert 'name="sweep-weights"' in page
    assert 'value="10, 20, 30, 40, 50, 60, 70, 80, 90"' in page
    assert "document-terms" not in page
    other = browser.get("/submit/", {"kind": "run", "benchmark": "pets"}).content.decode()
    assert "Operating points" not in other


def test_the_curves_whose_box_is_checked_are_submitted(browser, pets):
    fields = {
        "sweep-weights": "on", "sweep-values-weights": "50, 20",
        "sweep-vector-bits": "on", "sweep-values-vector-bits": "",
        "sweep-values-dimensions": "64",
    }  # fmt: skip
    answer = browser.post("/submit/", form(**fields))

    assert answer.status_code == 302
    assert Submission.objects.get().sweeps == ["vector-bits=8,4,1", "weights=20,50"]
    page = browser.get(answer["Location"]).content.decode()
    assert "<code>weights=20,50</code>" in page


def test_a_refused_value_is_shown_beside_its_input_and_nothing_typed_is_lost(browser, pets):
    fields = {"sweep-weights": "on", "sweep-values-weights": "10, 120"}
    answer = browser.post("/submit/", form(**fields))
    page = unescape(answer.content.decode())

    assert answer.status_code == 422
    assert "120 must be from 1 to 99" in page
    assert 'value="10, 120"' in page
    assert '<details class="options sweeps" open>' in page
    assert Submission.objects.count() == 0


def test_another_benchmark_keeps_what_was_chosen(browser, pets):
    typed = form(**{"sweep-weights": "on", "sweep-values-weights": "33"})
    page = browser.post("/submit/fields/?kind=dense&benchmark=pets", typed).content.decode()

    assert 'value="33"' in page
    box = page[page.index('name="sweep-weights"') :][:200]
    assert "checked" in box
