"""Which tracks a submission gets: all that its system has, and none that a member or a dataset lacks."""

import pytest

from leaderboard.submissions import submit
from leaderboard.submissions.models import Submission, Track
from tests.evaluations.hostile import forging
from tests.factories import make_benchmark

from .submitting import upload
from .test_members import BM25, choice, dense_of, fusion, refused, rerank, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage")]

OTHERS = (Track.RETRIEVAL, Track.SPARSITY)
EVERY = "retrieval,sparsity,latency"
LINES = {
    "meta.json": forging.META,
    "documents.jsonl": b'{"id": "d1", "vector": {"cat": 1.0}}\n{"id": "d3", "vector": {"fish": 2.0}}\n',
    "queries.jsonl": b'{"id": "q1", "vector": {"cat": 1.0}}\n{"id": "q2", "vector": {"fish": 1.0}}\n',
}


@pytest.fixture
def run(alice, pets):
    return choice(run_of(alice, "pets", {"pets": upload()}))


def vectors(files=None, **fields):
    archive = upload(forging.tarred(files or LINES), "vectors.tar")
    given = {"benchmark": "pets", "kind": "vectors", "name": "Vectors", "archive": archive}
    return submit.SubmissionRequest(**given | fields)


def test_what_is_made_of_systems_that_can_be_timed_is_timed(alice, pets, known_model):
    assert submit.validate(fusion(choice(dense_of(alice, pets)), BM25)).tracks == tuple(Track)
    assert submit.validate(rerank(BM25, tracks=EVERY)).tracks == tuple(Track)
    assert submit.validate(vectors()).tracks == tuple(Track)


def test_with_a_run_among_them_latency_is_not_among_the_tracks(alice, pets, run, known_model):
    assert submit.validate(fusion(BM25, run)).tracks == OTHERS
    submission = submit.create(alice, submit.validate(rerank(run)))
    assert set(submission.evaluations.values_list("track", flat=True)) == set(OTHERS)


def test_latency_that_a_member_cannot_have_is_refused_naming_it(pets, run, known_model):
    mend = "leave latency out: retrieval, sparsity."
    assert refused(fusion(BM25, run, tracks=EVERY)) == {
        "tracks": (f"Fusion cannot be timed with member 2 (run); {mend}",)
    }
    assert refused(rerank(run, tracks=EVERY)) == {
        "tracks": (f"Reranker cannot be timed with first stage (run); {mend}",)
    }
    assert submit.validate(fusion(BM25, run, tracks="retrieval,sparsity")).tracks == OTHERS


def test_no_member_is_named_by_a_wrong_place(pets, run):
    """Which one it is cannot be said while another is missing."""
    assert set(refused(fusion(choice(Submission(pk="0" * 32)), run, tracks=EVERY))) == {"member-1"}


@pytest.fixture
def half(folder_dataset):
    """A board of two datasets of the same animals; the second lacks its documents."""
    return make_benchmark("half", [folder_dataset("whole"), folder_dataset("bare", has_corpus=False)])


def in_both():
    return {f"{name}/{file}": content for name in ("whole", "bare") for file, content in LINES.items()}


def test_a_dataset_without_its_documents_has_no_times_where_tracks_are_left_open(alice, half):
    submission = submit.create(alice, submit.validate(vectors(in_both(), benchmark="half")))
    found = set(submission.evaluations.values_list("dataset__name", "track"))
    assert found == {
        *(("whole", track.value) for track in Track), *(("bare", track.value) for track in OTHERS)
    }  # fmt: skip


def test_latency_asked_for_by_name_is_refused_for_such_a_dataset(half):
    request = vectors(in_both(), benchmark="half", tracks=EVERY)
    assert refused(request) == {
        "tracks": ("Latency needs the documents, and there is no corpus here for bare; leave latency out.",)
    }


def test_the_form_shows_the_refusal_beside_its_field(client, alice, pets, run):
    client.force_login(alice)
    fields = {"benchmark": "pets", "kind": "fusion", "name": "Both", "member-1": "bm25"}
    response = client.post("/submit/", fields | {"member-2": run.submission, "tracks": EVERY})
    assert response.status_code == 422
    [message] = response.context["form"].errors["tracks"]
    assert message.startswith("Fusion cannot be timed with member 2 (run)")
    assert Submission.objects.filter(revision__kind="fusion").count() == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("fusion", "It is left out where a member is a run or vectors"),
        ("rerank", "It is left out where a member is a run or vectors"),
        ("vectors", "Of vectors the search alone is timed."),
        ("bm25", "a noisy session publishes nothing."),
    ],
)
def test_the_form_says_when_latency_is_left_out(client, alice, pets, kind, words):
    client.force_login(alice)
    form = client.get("/submit/", {"kind": kind}).context["form"]
    assert words in form.fields["tracks"].help_text
