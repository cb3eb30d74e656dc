"""What systems are made of: what may be chosen, what is frozen, what is refused and how."""

import pytest
from django.db.models import ProtectedError

from evaluations.systems import KINDS
from leaderboard.catalog.models import Revision, RevisionMember
from leaderboard.submissions import submit
from leaderboard.submissions.members import MemberChoice, offered
from leaderboard.submissions.models import State, Submission
from tests.factories import (
    make_benchmark,
    make_dataset,
    make_revision,
    make_submission,
    make_system,
    make_user,
)

from .submitting import RUN, upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage")]

BM25 = MemberChoice(kind="bm25")
DENSE = {"kind": "dense", "location": "org/dense", "version": "c0ffee", "options": {"precision": "fp32"}}


def dense_of(owner, benchmark, name="Dense", state=State.SUCCEEDED, **fields):
    system = make_system(owner, name=name, family="dense")
    revision = make_revision(system, **DENSE | fields)
    return make_submission(owner=owner, benchmark=benchmark, revision=revision, state=state)


def run_of(owner, benchmark_name, files, name="Run"):
    request = submit.SubmissionRequest(benchmark=benchmark_name, kind="run", name=name, files=files)
    return submit.create(owner, submit.validate(request))


def choice(submission):
    return MemberChoice(submission=str(submission.pk))


def fusion(*members, **fields):
    given = {"benchmark": "pets", "kind": "fusion", "name": "Both", "members": members}
    return submit.SubmissionRequest(**given | fields)


def rerank(*members, **fields):
    return fusion(*members, **{"kind": "rerank", "location": "org/model", "name": "Reranker"} | fields)


def refused(request):
    before = Submission.objects.count()
    with pytest.raises(submit.Refused) as refusal:
        submit.validate(request)
    assert Submission.objects.count() == before
    return refusal.value.errors


def test_it_works(alice, charlie, pets):
    """Each member is frozen as it is now, and its revision cannot go away under the whole."""
    theirs = dense_of(charlie, pets)
    revision = submit.create(alice, submit.validate(fusion(choice(theirs), BM25))).revision
    dense, bm25 = revision.made_of
    assert (dense.kind, dense.location, dense.version) == ("dense", "org/dense", "c0ffee")
    assert (dense.options, dense.name, dense.system) == (
        {"precision": "fp32"},
        "Dense",
        theirs.revision.system_id,
    )
    assert (bm25.kind, bm25.options["k1"], bm25.revision) == ("bm25", 1.5, None)
    assert revision.options["weights"] == "1,1"
    assert revision.system.family == "fusion"
    Revision.objects.filter(pk=theirs.revision_id).update(options={"precision": "bf16"})
    assert Revision.objects.get(pk=revision.pk).made_of[0].options == {"precision": "fp32"}
    theirs.delete()
    with pytest.raises(ProtectedError):
        Revision.objects.get(pk=theirs.revision_id).delete()


def test_a_reranker_is_pinned_and_so_is_its_first_stage(alice, pets, known_model):
    revision = submit.create(alice, submit.validate(rerank(choice(dense_of(alice, pets))))).revision
    assert (revision.location, revision.options["depth"]) == ("org/model", 100)
    assert [part.kind for part in revision.parts] == ["rerank", "dense"]
    assert RevisionMember.objects.get().member.location == "org/dense"


def test_what_is_on_its_way_can_be_a_member(alice, pets):
    for state in (State.QUEUED, State.RUNNING):
        theirs = dense_of(alice, pets, f"Dense {state}", state)
        plan = submit.validate(fusion(choice(theirs), BM25)).plan
        assert [member.revision for member in plan.members] == [theirs.revision_id, None]


def test_a_member_with_options_of_its_own(alice, pets):
    other = MemberChoice(kind="bm25", options={"k1": 0.9})
    first = submit.validate(fusion(other, BM25)).plan
    assert first.members[0].options["k1"] == 0.9
    assert first.content_hash != submit.validate(fusion(BM25, BM25)).plan.content_hash


def test_content_is_what_runs_and_not_what_it_is_called(alice, charlie, pets):
    one, other = dense_of(alice, pets, "One"), dense_of(charlie, pets, "Other")
    plans = [submit.validate(fusion(choice(member), BM25)).plan for member in (one, other)]
    assert plans[0].content_hash == plans[1].content_hash
    swapped = submit.validate(fusion(BM25, choice(one))).plan
    assert swapped.content_hash != plans[0].content_hash


def test_the_content_hash_of_other_kinds_is_as_it_was(pets):
    """Computed with the release that had no members: rows of that time are found again."""
    plain = submit.SubmissionRequest(benchmark="pets", kind="bm25", name="BM25")
    expected = "cc26848dfd8f4a6542f0ec4a93cdd91f8fb33d6b641e4edff71b3a314b09b100"
    assert submit.validate(plain).plan.content_hash == expected


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ((), "member-1", "Fusion needs 2 to 8 members; 0 given."),
        ((BM25,), "member-2", "Fusion needs 2 to 8 members; 1 given."),
        ((BM25,) * 9, "member-8", "Fusion needs 2 to 8 members; 9 given."),
        ((BM25, MemberChoice(kind="dense")), "member-2", "'dense' cannot be named alone"),
        ((BM25, MemberChoice(kind="fusion")), "member-2", "'fusion' cannot be named alone"),
        ((BM25, MemberChoice()), "member-2", "'' cannot be named alone"),
        ((BM25, MemberChoice(kind="bm25", options={"k1": "much"})), "member-2", "'much' is not a number"),
        ((BM25, MemberChoice(kind="bm25", options={"k3": 1})), "member-2", "no option 'k3'"),
        ((BM25, MemberChoice(submission="x" * 900)), "member-2", "There is no submission"),
        ((BM25, MemberChoice(submission="12\x00")), "member-2", "There is no submission"),
        (
            (BM25, MemberChoice(submission="0b9a1d0e-9f5c-4f3b-8d53-0a4a3f3f9f10")),
            "member-2",
            "There is no submission '0b9a1d0e-",
        ),
        (
            (BM25, MemberChoice(submission="0b9a1d0e-9f5c-4f3b-8d53-0a4a3f3f9f10", kind="bm25")),
            "member-2",
            "not both",
        ),
    ],
)
def test_members_that_do_not_fit_are_refused_at_their_own_field(pets, members, field, words):
    errors = refused(fusion(*members))
    assert any(words in message for message in errors[field])
    assert set(errors) == {field}


def test_a_reranker_without_a_first_stage_is_refused(pets, known_model):
    assert refused(rerank()) == {"member-1": ("Reranker needs 1 first stage; 0 given.",)}
    assert refused(rerank(BM25, BM25)) == {"member-1": ("Reranker needs 1 first stage; 2 given.",)}


def test_other_kinds_take_no_members(pets):
    errors = refused(submit.SubmissionRequest(benchmark="pets", kind="bm25", name="A", members=(BM25,)))
    assert "BM25 is made of no other systems; leave them out." in errors["members"]


def test_what_is_made_of_others_is_no_member(alice, pets):
    inner = submit.create(alice, submit.validate(fusion(BM25, BM25)))
    [message] = refused(fusion(choice(inner), BM25, name="Outer"))["member-1"]
    assert message.startswith("Both is of kind fusion and cannot be a member; these kinds can: bm25,")


@pytest.mark.parametrize(
    ("state", "words"), [(State.FAILED, "has failed"), (State.CANCELLED, "was cancelled")]
)
def test_what_came_to_nothing_is_no_member(alice, pets, state, words):
    [message] = refused(fusion(choice(dense_of(alice, pets, state=state)), BM25))["member-1"]
    assert message == f"Dense {words}; choose one that succeeded or is on its way."


def test_options_are_not_taken_for_a_submission(alice, pets):
    member = MemberChoice(submission=str(dense_of(alice, pets).pk), options={"precision": "bf16"})
    assert "as it was submitted" in refused(fusion(member, BM25))["member-1"][0]


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"weights": "1"}, "option-weights", "must be 2 numbers, one a member"),
        ({"weights": "1,-1"}, "option-weights", "from 0 to 1000"),
        ({"method": "rrf", "normalisation": "rank"}, "option-normalisation", "does not read it"),
        ({"rrf_k": 60}, "option-rrf_k", "does not read it"),
        ({"method": "borda"}, "option-method", "must be one of"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_theirs(pets, options, field, words):
    errors = refused(fusion(BM25, BM25, options=options))
    assert words in errors[field][0]


def test_a_run_that_lacks_a_dataset_of_the_board_is_no_member(alice, zoo):
    wild = "z1 Q0 zebra 1 2.5 zoo\n"
    whole = run_of(alice, "zoo", {"tame": upload(RUN), "wild": upload(wild)}, "Whole")
    part = run_of(alice, "zoo", {"tame": upload(RUN.replace("9.5", "9.6"))}, "Part")
    submit.validate(fusion(choice(whole), choice(whole), benchmark="zoo"))
    [message] = refused(fusion(choice(whole), choice(part), benchmark="zoo"))["member-2"]
    assert message == "Part has no run for wild; choose another, or submit them."


def test_a_member_that_needs_documents_is_refused_where_there_are_none(alice, zoo):
    wild = "z1 Q0 zebra 1 2.5 zoo\n"
    whole = run_of(alice, "zoo", {"tame": upload(RUN), "wild": upload(wild)})
    errors = refused(fusion(choice(whole), BM25, benchmark="zoo"))
    assert errors["benchmark"][0].startswith("BM25 needs the documents, and wild has no corpus here.")


def listed(kind, benchmark, viewer, **typed):
    datasets = [member.dataset for member in benchmark.members()]
    return {each.label: each.value for each in offered(KINDS[kind], benchmark, datasets, viewer, typed)}


def test_one_may_choose_from_ones_own_and_from_the_board(alice, charlie, pets):
    other = make_benchmark("other", [make_dataset()])
    mine = dense_of(alice, other, "Mine elsewhere")
    theirs = dense_of(charlie, pets, "Theirs here")
    dense_of(charlie, other, "Theirs elsewhere")
    dense_of(alice, pets, "Failed", State.FAILED)
    submit.create(alice, submit.validate(fusion(BM25, BM25)))
    found = listed("fusion", pets, alice)
    assert list(found.values()) == ["bm25", str(mine.pk), str(theirs.pk)]
    assert list(found)[1:] == [
        "Mine elsewhere (dense, c0ffee, succeeded)",
        "Theirs here (dense, c0ffee, by charlie, succeeded)",
    ]


def test_a_revision_is_offered_once_and_by_its_newest_submission(alice, pets):
    first = dense_of(alice, pets)
    again = make_submission(owner=alice, benchmark=pets, revision=first.revision, state=State.QUEUED)
    assert list(listed("rerank", pets, alice).values()) == ["bm25", str(again.pk)]


def test_a_search_narrows_the_list_and_keeps_what_is_chosen(alice, pets):
    one, other = dense_of(alice, pets, "MiniLM"), dense_of(alice, pets, "Contriever")
    search = {"member-search": "mini"}
    assert list(listed("fusion", pets, alice, **search).values()) == ["bm25", str(one.pk)]
    kept = listed("fusion", pets, alice, **search, **{"member-2": str(other.pk), "member-1": "bm25"})
    assert list(kept.values()) == ["bm25", str(other.pk), str(one.pk)]


def test_the_list_is_bounded_and_read_in_a_fixed_number_of_queries(alice, pets, django_assert_num_queries):
    for number in range(120):
        dense_of(alice, pets, f"Dense {number:03}")
    with django_assert_num_queries(3):  # the datasets; submissions, their evaluations
        assert len(listed("fusion", pets, alice)) == 101


def test_a_stranger_may_see_no_more_than_the_board(pets):
    dense_of(make_user("bob"), make_benchmark("other", [make_dataset()]), "Elsewhere")
    assert list(listed("fusion", pets, make_user("dora")).values()) == ["bm25"]
