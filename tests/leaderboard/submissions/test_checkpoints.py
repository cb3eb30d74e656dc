"""A model averaged with earlier submissions: which are taken, what is kept, what is refused and how."""

import re
from html import unescape
from uuid import uuid4

import pytest
from django.db.models import ProtectedError
from rest_framework.test import APIClient

from evaluations.systems import KINDS
from leaderboard.catalog.models import RevisionFile
from leaderboard.submissions import checkpoints, submit, sweeps
from leaderboard.submissions.models import State, Submission, SubmissionCheckpoint
from leaderboard.submissions.refusals import Problems
from tests.factories import make_benchmark, make_dataset
from tests.leaderboard.api.conftest import client_of

from .test_members import dense_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage", "known_model")]
FIELD = "sweep-values-soup"


def request(*asked, **fields):
    defaults = {"benchmark": "pets", "kind": "dense", "name": "Model", "location": "org/model"}
    return submit.SubmissionRequest(**defaults | fields, sweeps=asked)


def form(**fields):
    return {"benchmark": "pets", "kind": "dense", "name": "Model", "location": "org/model"} | fields


@pytest.fixture
def browser(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def api(alice) -> APIClient:
    return client_of(alice)


@pytest.fixture
def seeds(alice, charlie, pets) -> list[Submission]:
    """Two of her own, and one of somebody else on the same board."""
    own = [dense_of(alice, pets, f"Seed {number}", version=f"{number}" * 40) for number in (2, 3)]
    return [*own, dense_of(charlie, pets, "Seed 4", version="4" * 40)]


def ids(*submissions):
    return [str(submission.pk) for submission in submissions]


def test_it_works_over_rest(api, seeds):
    two, three, four = ids(*seeds)
    body = form(sweeps=[f"soup:uniform= {two.upper()}, {two.replace('-', '')} + {three},{four}"])
    answer = api.post("/api/v1/submissions/", body, format="json")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["sweeps"] == [f"soup={two},{two}+{three},{four}"]
    submission = Submission.objects.get(pk=answer.json()["id"])
    parts = checkpoints.parts_of([submission])[submission.pk]
    assert list(parts) == [two, three, four]
    assert [part.version for part in parts.values()] == ["2" * 40, "3" * 40, "4" * 40]
    assert parts[four].name == "Seed 4"
    assert checkpoints.titles(parts)[two] == "Seed 2 22222222"


def test_it_works_in_the_form(browser, seeds):
    two, three, four = ids(*seeds)
    chosen = {"checkpoint-1": two, "checkpoint-3": three, "sweep-values-soup": four}
    answer = browser.post("/submit/", form(**{"sweep-soup": "on"}, **chosen))
    assert answer.status_code == 302
    submission = Submission.objects.get(revision__system__name="Model")
    assert submission.sweeps == [f"soup={four},{two},{two}+{three}"]
    page = browser.get(answer["Location"]).content.decode()
    assert f'<dt>Checkpoint 1</dt><dd><a href="/submissions/{four}/">Seed 4</a>' in page


@pytest.mark.parametrize(
    ("order", "expected"),
    [("", "a,a+b,a+b+c"), ("grow", "a,a+b,a+b+c"), ("each", "a,b,c"), ("all", "a+b+c")],
)
def test_what_is_chosen_from_the_lists_becomes_points(order, expected):
    sent = {"checkpoint-1": "a", "checkpoint-2": "", "checkpoint-3": "b", "checkpoint-4": "c"}
    assert checkpoints.values_in(sent | {"checkpoint-order": order}) == expected


def test_what_is_chosen_twice_in_the_lists_counts_once():
    assert checkpoints.values_in({"checkpoint-1": "a", "checkpoint-2": "a"}) == "a"
    assert checkpoints.values_in({}) == ""


def test_what_is_on_its_way_can_be_averaged_and_so_can_an_upload(alice, pets):
    waiting = dense_of(alice, pets, "Waiting", State.QUEUED)
    uploaded = dense_of(alice, pets, "Uploaded", location="", version="sha256:0123456789abcdef")
    RevisionFile.objects.create(revision=uploaded.revision, file="u/a.zip", sha256="a" * 64, size_bytes=9)
    asked = f"soup={'+'.join(ids(waiting, uploaded))}"
    assert submit.validate(request(asked)).sweeps == (asked,)


UNKNOWN = "0b9a1d0e-9f5c-4f3b-8d53-0a4a3f3f9f10"
WORDS = "It takes ids of earlier submissions of the same kind, + between those of one point"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (UNKNOWN, f"There is no submission '{UNKNOWN}'; write the id that its address ends in."),
        ("org/model@main", "There is no submission 'org/model@main'"),
        ("{two}+", "There is no submission ''"),
        ("{two},,{two}", "There is no submission ''"),
        ("", f"Nothing is named to average with. {WORDS}"),
        ("+".join(["{two}"] * 9), "9 submissions are averaged at once; leave out all but 8."),
        (",".join(["{two}"] * 21), "21 points are asked for; one curve may have 20."),
        (
            ",".join("+".join(f"{row}-{place}" for place in range(7)) for row in range(3)),
            "21 submissions are named; one request may name 20.",
        ),
        ("{failed}", "Failed has failed; choose one that succeeded or is on its way."),
        ("{two}+{cancelled}", "Cancelled was cancelled; choose one that succeeded or is on its way."),
        (
            "{sparse}",
            "Sparse is of kind sparse and cannot be a checkpoint to average with; these kinds can: dense.",
        ),
        ("{lost}", "Lost has no model to be averaged; choose another."),
    ],
)
def test_what_cannot_be_averaged_is_refused_at_the_values(
    browser, api, alice, pets, nothing_stored, values, words
):
    """By form and by REST, and nothing is stored."""
    there = {
        "two": dense_of(alice, pets, "Seed 2"),
        "failed": dense_of(alice, pets, "Failed", State.FAILED),
        "cancelled": dense_of(alice, pets, "Cancelled", State.CANCELLED),
        "sparse": dense_of(alice, pets, "Sparse", kind="sparse"),
        "lost": dense_of(alice, pets, "Lost", location=""),
    }
    values = values.format(**{name: submission.pk for name, submission in there.items()})
    with nothing_stored():
        answer = api.post("/api/v1/submissions/", form(sweeps=[f"soup={values}"]), format="json")
        shown = browser.post("/submit/", form(**{"sweep-soup": "on", FIELD: values}))
    assert (answer.status_code, shown.status_code) == (400, 422)
    assert list(answer.json()["errors"]) == [FIELD]
    assert any(words in message for message in answer.json()["errors"][FIELD])
    assert any(words in message for message in shown.context["form"].errors[FIELD])
    assert SubmissionCheckpoint.objects.count() == 0


def test_everything_that_is_wrong_is_said_at_once(pets, nothing_stored):
    with nothing_stored(), pytest.raises(submit.Refused) as refusal:
        submit.validate(request(f"soup={UNKNOWN},{uuid4()}", "weights=0x"))
    assert len(refusal.value.errors[FIELD]) == 2
    assert len(refusal.value.errors["sweep-values-weights"]) == 1


def test_a_kind_whose_models_are_not_averaged_takes_none(pets, nothing_stored):
    with nothing_stored(), pytest.raises(submit.Refused) as refusal:
        submit.validate(request(f"soup={UNKNOWN}", kind="bm25", location=""))
    assert "sweep soup is of dense, sparse and late-interaction, not of bm25" in str(refusal.value)


def test_checkpoints_whose_box_is_not_checked_are_not_passed_over(browser, seeds, nothing_stored):
    with nothing_stored():
        answer = browser.post("/submit/", form(**{"checkpoint-1": ids(seeds[0])[0]}))
    assert answer.status_code == 422
    page = unescape(answer.content.decode())
    assert "Checkpoints are given, and their curve is not asked for; check Uniform average" in page
    assert '<details class="options sweeps" open>' in page


def test_the_form_offers_ones_own_and_those_of_the_board(browser, alice, charlie, pets, seeds):
    other = make_benchmark("other", [make_dataset()])
    dense_of(alice, other, "Mine elsewhere")
    dense_of(charlie, other, "Theirs elsewhere")
    dense_of(alice, pets, "Failed", State.FAILED)
    dense_of(alice, pets, "Sparse", kind="sparse")
    page = browser.get("/submit/", {"kind": "dense", "benchmark": "pets"})
    choices = page.context["form"].fields["checkpoint-1"].widget.choices
    assert [label.split(" (")[0] for _, label in choices] == [
        *("none", "Mine elsewhere", "Seed 2", "Seed 3", "Seed 4"),
    ]
    assert "by charlie" in choices[-1][1]


def test_with_nothing_to_choose_from_the_form_says_so(browser, pets):
    page = browser.get("/submit/", {"kind": "dense", "benchmark": "pets"}).content.decode()
    assert "No earlier submission of this kind is yours or on this board." in page
    assert 'name="checkpoint-1"' not in page
    assert f'name="{FIELD}"' in page


def test_a_search_narrows_the_lists_keeps_what_is_chosen_and_submits_nothing(browser, seeds, nothing_stored):
    two, _, four = ids(*seeds)
    typed = {"checkpoint-2": four, "member-search": "seed 2", "sweep-soup": "on", FIELD: "typed"}
    with nothing_stored():
        answer = browser.post("/submit/", form(**typed))
    assert answer.status_code == 200
    found = answer.context["form"]
    assert [value for value, _ in found.fields["checkpoint-1"].widget.choices] == ["", two, four]
    assert (found["checkpoint-2"].value(), found[FIELD].value()) == (four, "typed")
    page = answer.content.decode()
    assert '<details class="options sweeps" open>' in page
    assert re.search(r'<input[^>]*name="sweep-soup"[^>]*checked', page)


def test_the_lists_are_bounded_and_read_in_a_fixed_number_of_queries(alice, pets, django_assert_num_queries):
    for number in range(120):
        dense_of(alice, pets, f"Dense {number:03}")
    with django_assert_num_queries(2):  # submissions, their evaluations
        assert len(checkpoints.offered(KINDS["dense"], pets, alice, {})) == 100


def test_each_checkpoint_is_read_once(alice, pets, seeds, django_assert_num_queries):
    two, three, _ = ids(*seeds)
    with django_assert_num_queries(4):  # two submissions, with their evaluations
        checkpoints.checked(KINDS["dense"], f"{two},{two}+{three},{three}", FIELD, Problems())


def test_what_is_averaged_cannot_be_deleted_before_what_averages_it(alice, seeds):
    two = seeds[0]
    submission = submit.create(alice, submit.validate(request(f"soup={two.pk}")))
    with pytest.raises(ProtectedError):
        two.delete()
    with pytest.raises(ProtectedError):
        two.revision.delete()
    submission.delete()
    two.delete()


def test_a_rerun_averages_the_same(alice, seeds):
    first = submit.create(alice, submit.validate(request(f"soup={seeds[0].pk}+{seeds[2].pk}")))
    first.evaluations.update(state=State.SUCCEEDED)
    seeds[0].evaluations.update(state=State.FAILED)  # what is averaged is its model, which is as it was
    again = submit.rerun(first, alice)
    assert again.sweeps == first.sweeps
    assert list(checkpoints.parts_of([again])[again.pk]) == ids(seeds[0], seeds[2])


def test_a_repeated_request_is_the_same_whatever_its_ids_look_like(alice, seeds):
    asked = str(seeds[0].pk)
    first = submit.create(alice, submit.validate(request(f"soup={asked}")), idempotency_key="k")
    again = submit.create(alice, submit.validate(request(f"soup= {asked.upper()}")), idempotency_key="k")
    assert first == again
    with pytest.raises(submit.Refused, match="exactly this before"):
        submit.create(alice, submit.validate(request(f"soup={asked}")))


def test_the_checkpoints_of_many_are_read_at_once(alice, seeds, pets, django_assert_num_queries):
    swept = [
        submit.create(alice, submit.validate(request(f"soup={seed.pk}", name=f"Model {seed.pk}")))
        for seed in seeds
    ]
    with django_assert_num_queries(1):
        assert len(checkpoints.parts_of(swept)) == 3
    with django_assert_num_queries(0):
        assert checkpoints.parts_of(seeds) == {}  # they asked for no curves


def test_every_point_is_a_workload():
    one, two = uuid4(), uuid4()
    assert sweeps.workload("dense", [f"soup={one},{one}+{two}", "vector-bits=8"]) == 3
