"""What is refused before anything is stored or queued, and with which words."""

import gzip
from dataclasses import replace

import pytest

from evaluations.systems.locations import Pinned
from leaderboard.submissions import hub, submit, validation
from leaderboard.submissions.models import Submission
from tests.factories import make_benchmark

from .submitting import RUN, upload

pytestmark = pytest.mark.django_db


def request(**fields):
    return submit.SubmissionRequest(**{"benchmark": "pets", "kind": "bm25", "name": "BM25"} | fields)


def run_request(content=RUN, **fields):
    return request(**{"kind": "run", "name": "My run", "files": {"pets": upload(content)}} | fields)


def refused(given) -> dict[str, tuple[str, ...]]:
    with pytest.raises(submit.Refused) as refusal:
        submit.validate(given)
    assert Submission.objects.count() == 0
    return refusal.value.errors


def test_it_works(pets):
    validated = submit.validate(request())

    assert validated.benchmark == pets
    assert [dataset.name for dataset in validated.datasets] == ["pets"]
    assert validated.plan.kind.name == "bm25"
    assert validated.plan.options["stemmer"] == "english"
    assert validated.warnings == ()


@pytest.mark.parametrize(
    "content", [RUN, gzip.compress(RUN.encode()), RUN.replace("\n", "\r\n"), "\ufeff" + RUN]
)
def test_a_run_may_be_packed_and_have_windows_line_ends(pets, content):
    assert len(submit.validate(run_request(content)).plan.files) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("q1 Q0 d1 1 9.5\n", ["line 1", "5 columns", "six are needed"]),
        (RUN + "q2 Q0 d1 2 high cats\n", ["line 4", "'high'", "not a finite number"]),
        ("q1 Q0 d1 1 NaN cats\n", ["line 1", "'NaN'", "not a finite number"]),
        ("q1 Q0 d1 1 inf cats\n", ["line 1", "'inf'"]),
        (RUN + "q1 Q0 d1 3 1 cats\n", ["line 4", "document d1 is there twice for query q1", "keep one"]),
        ("x1 Q0 d1 1 9.5 cats\n", ["none of the run's query ids", "x1"]),
        ("", ["has no lines"]),
        (b"q1 Q0 d\x001 1 9.5 cats\n", ["line 1", "NUL byte", "UTF-8"]),
        (b"q1 Q0 K\xe4tzchen 1 9.5 cats\n", ["line 1", "not UTF-8", "save the file as UTF-8"]),
        (gzip.compress(RUN.encode())[:-9], ["gzip", "damaged or cut off"]),
    ],
    ids=["five columns", "text", "NaN", "infinite", "twice", "queries", "empty", "NUL", "Latin-1", "cut off"],
)
def test_a_bad_run_is_refused_naming_file_and_line(pets, content, words):
    errors = refused(run_request(content))

    assert list(errors) == ["file-pets"]
    [message] = errors["file-pets"]
    assert message.startswith("pets.trec: ")
    for word in words:
        assert word in message


def test_lines_of_unknown_queries_are_a_warning_only(pets):
    validated = submit.validate(run_request(RUN + "x9 Q0 d1 1 1 cats\n"))

    [warning] = validated.warnings
    assert warning.startswith("pets.trec: 1 query ids of the run are not judged queries and are ignored")


def test_a_run_submission_needs_a_run(pets):
    assert "upload one for at least one dataset" in refused(run_request(files={}))["archive"][0]


def test_some_datasets_are_enough_and_the_missing_ones_are_named(zoo):
    validated = submit.validate(run_request(benchmark="zoo", files={"tame": upload()}))

    assert [dataset.name for dataset in validated.datasets] == ["tame"]
    assert validated.warnings == ("The average stays empty, since there is no run for wild.",)


def test_a_run_for_a_dataset_that_the_benchmark_lacks_is_refused(pets):
    errors = refused(run_request(files={"birds": upload(name="birds.trec")}))

    assert errors == {"file-birds": ("birds.trec: the benchmark has no dataset 'birds'; it has: pets",)}


def test_every_bad_run_is_named_at_once(zoo):
    errors = refused(run_request("", benchmark="zoo", files={"tame": upload(""), "wild": upload("a b\n")}))

    assert set(errors) == {"file-tame", "file-wild"}


def test_bm25_takes_no_files(pets):
    errors = refused(request(files={"pets": upload()}, archive=upload()))

    assert errors["file-pets"] == ("BM25 takes no runs; leave them out, or submit a run.",)
    assert errors["archive"] == ("BM25 takes no archive; leave it out.",)


def test_an_encoder_is_refused_where_a_dataset_has_no_corpus_naming_it(zoo):
    [message] = refused(request(benchmark="zoo"))["benchmark"]

    assert "wild has no corpus" in message
    assert "Submit run files" in message


def test_an_unknown_kind_or_benchmark_is_refused_with_those_there_are(pets):
    errors = refused(request(benchmark="birds\x00", kind="magic"))

    assert "there are: pets" in errors["benchmark"][0]
    assert "'magic'" in errors["kind"][0]
    assert "bm25" in errors["kind"][0]


def test_a_benchmark_without_datasets_takes_nothing():
    make_benchmark("empty", [])

    assert "no dataset yet" in refused(request(benchmark="empty"))["benchmark"][0]


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"k1": "11"}, "option-k1", "from 0 to 10"),
        ({"k1": -0.1}, "option-k1", "from 0 to 10"),
        ({"k1": "nan"}, "option-k1", "from 0 to 10"),
        ({"k1": "much"}, "option-k1", "is not a number"),
        ({"k1": [1]}, "option-k1", "is not a number"),
        ({"stemmer": "klingon"}, "option-stemmer", "one of english"),
        ({"k2": 1}, "options", "no option 'k2'; it has: k1"),
    ],
)
def test_an_option_out_of_range_is_refused_beside_it(pets, options, field, words):
    [message] = refused(request(options=options))[field]

    assert words in message


@pytest.mark.parametrize("value", ["1.2", 1.2])
def test_an_option_may_be_a_text_or_a_number(pets, value):
    assert submit.validate(request(options={"k1": value})).plan.options["k1"] == 1.2


@pytest.mark.parametrize("device", ["tpu", ""])
def test_an_unknown_device_is_refused(pets, device):
    assert "choose cpu or gpu" in refused(request(device=device))["device"][0]


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("name", " ", "is missing"),
        ("name", "n" * 101, "at most 100 fit"),
        ("name", "two\nlines", "line breaks"),
        ("name", "nul\x00", "control characters"),
        ("name", "half \ud800 a pair", "control characters"),
        ("name", "\u202etxet", "control characters"),
        ("organisation", "o" * 121, "at most 120 fit"),
        ("licence", "l" * 61, "at most 60 fit"),
        ("note", "n" * 301, "at most 300 fit"),
        ("description", "d" * 2001, "at most 2,000 fit"),
        ("training_data", "t" * 2001, "at most 2,000 fit"),
        ("url", "javascript:alert(1)", "is no web address"),
        ("url", "ftp://example.org/", "is no web address"),
        ("url", "http://example.org/" + "u" * 200, "at most 200 fit"),
    ],
)
def test_an_unfit_text_is_refused_beside_its_field(pets, field, text, words):
    errors = refused(request(**{field: text}))

    assert list(errors) == [field]
    assert words in " ".join(errors[field])


def test_all_that_is_wrong_is_said_at_once(pets):
    errors = refused(request(name="", url="x", options={"k1": 99, "b": 99}))

    assert set(errors) == {"name", "url", "option-k1", "option-b"}


UNUSED = "does not apply where a model's vocabulary is taken; set it to none"


@pytest.fixture
def encoder(monkeypatch):
    """A kind that takes a model, and a hub that must not be asked."""
    bm25 = validation.KINDS["bm25"]
    kind = replace(bm25, name="encoder", title="Encoder", takes="model", options=())
    monkeypatch.setitem(validation.KINDS, "encoder", kind)
    monkeypatch.setattr(validation, "WEB_KINDS", {**validation.WEB_KINDS, "encoder": kind})
    asked = []
    monkeypatch.setattr(hub, "pin", lambda *named: asked.append(named[:2]) or Pinned("c0ffee", {}))
    return asked


@pytest.mark.parametrize(
    "location",
    [
        "",
        "../../etc",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://example.org/org/name",
        "org/name/more",
        "name",
        "org/..",
        "./name",
        "~/name",
        "org\\name",
        "org/na..me",
        "org/na\nme",
        "org/name@main",
        "C:/models",
        "org/" + "n" * 97,
        "org/name-",
        "org/name.",
        "org-/name",
        "org/name.git",
    ],
)
def test_only_a_model_id_is_taken_never_a_path_or_an_address(pets, encoder, location):
    errors = refused(request(kind="encoder", location=location))

    assert list(errors) == ["location"]
    assert "sentence-transformers/all-MiniLM-L6-v2" in errors["location"][0]
    assert encoder == []


@pytest.mark.parametrize("revision", ["../main", "refs/../x", "/etc", "a b", "-x", "r" * 81])
def test_an_unfit_revision_is_refused(pets, encoder, revision):
    assert list(refused(request(kind="encoder", location="org/name", revision=revision))) == ["revision"]
    assert encoder == []


@pytest.mark.parametrize(
    "revision", ["", "main", "v1.0", "refs/pr/3", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"]
)
def test_a_model_is_pinned(pets, encoder, revision):
    validated = submit.validate(request(kind="encoder", location=" org/name ", revision=revision))

    assert (validated.plan.location, validated.plan.version) == ("org/name", "c0ffee")
    assert encoder == [("org/name", revision)]


def test_the_hub_is_not_asked_for_a_request_that_is_wrong_anyway(pets, encoder):
    refused(request(kind="encoder", location="org/name", name=""))

    assert encoder == []


def test_a_run_takes_no_model(pets):
    assert "takes no model" in refused(request(kind="run", location="org/name"))["location"][0]


def test_bm25_needs_no_model(pets):
    plan = submit.validate(request()).plan

    assert (plan.location, plan.version, plan.options["stemmer"]) == ("", "", "english")


def test_the_model_whose_vocabulary_bm25_takes_is_pinned_and_nothing_is_stemmed(pets, encoder):
    plan = submit.validate(request(location=" org/name ", revision="main", options={})).plan

    assert (plan.location, plan.version) == ("org/name", "c0ffee")
    assert (plan.options["stemmer"], plan.options["stopwords"]) == ("none", "none")
    assert encoder == [("org/name", "main")]


@pytest.mark.parametrize("option", ["stemmer", "stopwords"])
def test_what_a_vocabulary_leaves_no_use_for_is_refused(pets, encoder, option):
    errors = refused(request(location="org/name", options={option: "english"}))

    assert errors == {f"option-{option}": (f"option {option} {UNUSED}",)}
    assert encoder == []


@pytest.mark.parametrize("location", ["/etc/passwd", "../models/x", "https://example.org/a/b"])
def test_bm25s_vocabulary_comes_from_a_model_id_never_from_a_path_or_an_address(pets, encoder, location):
    assert list(refused(request(location=location, options={}))) == ["location"]
    assert encoder == []


def test_a_revision_of_no_model_is_refused(pets):
    assert list(refused(request(revision="main"))) == ["revision"]


def test_equal_content_has_one_hash_whatever_it_is_called(pets):
    first, second = submit.validate(request()), submit.validate(request(name="Other", options={"k1": "1.5"}))

    assert first.plan.content_hash == second.plan.content_hash
    assert first.request_hash != second.request_hash


def test_other_options_are_other_content(pets):
    first, second = submit.validate(request()), submit.validate(request(options={"k1": 1.2}))

    assert first.plan.content_hash != second.plan.content_hash
