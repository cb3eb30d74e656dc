"""The submit page: what it shows, whom it lets in, and how it turns bad input away."""

import gzip
import hashlib
import io
import tracemalloc
from html import unescape
from time import monotonic

import pytest
from django.test import Client

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps import sweeps_for
from evaluations.systems import WEB_KINDS, locations
from leaderboard.submissions.models import Submission
from tests.evaluations.hostile import forging
from tests.factories import make_benchmark, make_dataset, make_revision, make_submission, make_system

from .submitting import RUN, upload
from .test_archives import packed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage")]
URL = "/submit/"


@pytest.fixture
def browser(client, alice) -> Client:
    client.force_login(alice)
    return client


def sent(**fields):
    return {"benchmark": "pets", "kind": "bm25", "name": "BM25"} | fields


def sent_run(content=RUN, **fields):
    return sent(kind="run", name="My run", **{"file-pets": upload(content)} | fields)


def text(response) -> str:
    return unescape(response.content.decode())


def test_it_works(browser, alice, pets):
    response = browser.post(URL, sent(**{"option-k1": "0.9", "organisation": "Acme", "licence": ""}))

    submission = Submission.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/submissions/{submission.pk}/")
    assert submission.owner == alice
    assert submission.revision.options["k1"] == 0.9
    assert submission.revision.options["b"] == 0.75
    assert submission.revision.system.organisation == "Acme"


def test_a_run_is_uploaded(browser, pets):
    browser.post(URL, sent_run(gzip.compress(RUN.encode()), **{"option-exhausted": "on"}))

    revision = Submission.objects.get().revision
    assert revision.options == {"exhausted": True}
    assert gzip.decompress(revision.uploads.get().file.read()).decode() == RUN


def test_runs_are_uploaded_in_one_zip(browser, zoo):
    archive = upload(packed(("tame.trec", RUN), ("wild.txt", "z1 Q0 zebra 1 2.5 zoo\n")), "runs.zip")

    browser.post(URL, {"benchmark": "zoo", "kind": "run", "name": "Mine", "archive": archive})

    uploads = Submission.objects.get().revision.uploads.all()
    assert sorted(each.dataset.name for each in uploads) == ["tame", "wild"]


def test_strangers_are_sent_to_the_login(client, pets):
    for response in (client.get(URL), client.post(URL, sent()), client.post("/submit/fields/")):
        assert (response.status_code, response["Location"].split("?")[0]) == (302, "/accounts/login/")
    assert Submission.objects.count() == 0


def test_a_post_without_the_page_before_it_is_refused(alice, pets):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert client.post(URL, sent()).status_code == 403
    assert Submission.objects.count() == 0


def test_every_kind_and_benchmark_is_offered_with_its_words(browser, pets, zoo):
    page = text(browser.get(URL))

    for kind in WEB_KINDS.values():
        assert kind.title in page
        assert kind.help in page
    assert "pets" in page
    assert "wild (runs only)" in page


@pytest.mark.parametrize("kind", WEB_KINDS)
def test_each_kinds_page_has_exactly_its_fields(browser, pets, kind):
    form = browser.get(URL, {"kind": kind}).context["form"]

    specific = set(form.fields) - set(form.base_fields)
    options = {f"option-{option.name}" for option in WEB_KINDS[kind].options}
    place = {
        "nothing": set(),
        "vocabulary": {"location", "revision"},
        "model": {"location", "revision", "device", "archive"},
        "folder": {"archive"},
        "file": {"file-pets", "archive"},
    }
    curves = [box.removeprefix("sweep-") for box in specific if box.startswith("sweep-")]
    sweeps = {curve.partition(":")[0] for curve in curves if not curve.startswith("values-")}
    assert sweeps == {sweep.name for sweep in sweeps_for(kind)}
    specific -= {f"sweep-{curve}" for curve in curves}
    listed = {f"checkpoint-{place}" for place in (1, 2, 3, 4)} | {"checkpoint-order"}
    checkpoints = listed if "soup" in sweeps else set()
    timed = {"tracks"} if "latency" in WEB_KINDS[kind].tracks else set()
    maximum = WEB_KINDS[kind].members.maximum
    members = {f"member-{place}" for place in range(1, maximum + 1)}
    searching = {"member-search", "member-searched"} if maximum or checkpoints else set()
    device = {"device"} if maximum else set()
    fixed = place[WEB_KINDS[kind].takes] | device
    assert specific == options | timed | fixed | members | searching | checkpoints


@pytest.mark.parametrize("kind", WEB_KINDS)
def test_every_field_is_explained(browser, pets, kind):
    form = browser.get(URL, {"kind": kind}).context["form"]

    assert [field.name for field in form.visible_fields() if not field.help_text] == []


def test_a_kind_that_does_not_fit_is_said_to_on_the_card(browser, zoo):
    page = text(browser.get(URL, {"kind": "bm25", "benchmark": "zoo"}))

    assert "BM25 needs the documents; no corpus here for wild." in page


def test_the_first_benchmark_that_fits_is_chosen(browser, zoo, pets):
    assert browser.get(URL, {"kind": "bm25"}).context["chosen"].offer.benchmark == pets
    assert browser.get(URL, {"kind": "run"}).context["chosen"].offer.benchmark == pets
    assert browser.get(URL, {"kind": "run", "benchmark": "zoo"}).context["chosen"].offer.benchmark == zoo


def test_an_empty_board_says_so(browser):
    assert "No benchmark yet" in text(browser.get(URL))
    assert "No benchmark yet" in text(browser.post(URL, sent()))


def test_what_was_typed_survives_a_refusal(browser, pets, nothing_stored):
    typed = {
        "name": "",
        "organisation": "Acme & <sons>",
        "option-k1": "99",
        "description": "Hello\nthere",
        "note": "n1",
    }
    with nothing_stored():
        response = browser.post(URL, sent(**typed))

    assert response.status_code == 422
    page = text(response)
    for value in ("Acme & <sons>", "99", "Hello\nthere", "n1"):
        assert value in page
    assert "What you typed is still here." in page


def test_errors_are_beside_their_field_and_in_the_summary(browser, pets):
    page = browser.post(URL, sent(name="")).content.decode()

    assert '<a href="#id_name">System name</a>: The system&#x27;s name is missing' in page
    assert '<ul class="errorlist" id="id_name_error"><li>The system&#x27;s name is missing' in page
    assert 'aria-invalid="true"' in page


def test_files_have_to_be_chosen_again_and_the_page_says_so(browser, pets):
    assert "browsers forget files" in text(browser.post(URL, sent_run("")))


def test_hostile_texts_are_shown_as_texts(browser, pets):
    hostile = "<script>alert(1)</script>"
    browser.post(URL, sent(name=hostile))
    submission = Submission.objects.get()

    for page in (browser.get(f"/submissions/{submission.pk}/"), browser.get("/submissions/")):
        assert hostile not in page.content.decode()
        assert hostile in text(page)
    assert hostile not in browser.post(URL, sent(url=hostile, kind=hostile)).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (sent(kind="magic"), "There is no kind of system 'magic'"),
        (sent(kind="vectors"), "Vectors needs an archive"),
        (sent(kind="dense"), "The model id is missing; write it as the hub does"),
        (sent(benchmark="birds"), "There is no benchmark 'birds'"),
        (sent(name="n" * 101), "has 101 characters; at most 100 fit"),
        (sent(name="nul\x00"), "Null characters are not allowed"),
        (sent(**{"option-k1": "11"}), "must be from 0 to 10"),
        (sent(**{"option-k1": "x"}), "is not a number"),
        (sent(url="javascript:alert(1)"), "is no web address"),
        (sent(key="k" * 81), "The idempotency key must be at most 80"),
        (sent(kind="dense", location="../../etc"), "'../../etc' is no model id"),
        (sent(kind="dense", location="/etc/passwd"), "'/etc/passwd' is no model id"),
        (sent(kind="dense", location="file:///etc/passwd"), "is no model id"),
        (sent(kind="dense", location="org/model", device="tpu"), "There is no device 'tpu'"),
        (sent(kind="run"), "upload one for at least one dataset"),
    ],
)
def test_bad_fields_are_refused(browser, pets, nothing_stored, fields, words):
    with nothing_stored():
        response = browser.post(URL, fields)

    assert response.status_code == 422
    assert words in text(response)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("q1 Q0 d1 1 9.5\n", "line 1 of the run has 5 columns"),
        ("q1 Q0 d1 1 high x\n", "score 'high' is not a finite number"),
        ("q1 Q0 d1 1 nan x\n", "score 'nan' is not a finite number"),
        (RUN + "q1 Q0 d1 3 1 x\n", "document d1 is there twice"),
        ("x1 Q0 d1 1 1 x\n", "none of the run's query ids"),
        ("", "the run has no lines"),
        (b"q1 Q0 d\x00 1 1 x\n", "has a NUL byte"),
        (b"q1 Q0 \xe4 1 1 x\n", "is not UTF-8"),
    ],
)
def test_bad_runs_are_refused_by_name_and_line(browser, pets, nothing_stored, content, words):
    with nothing_stored():
        response = browser.post(URL, sent_run(content))

    assert response.status_code == 422
    assert "pets.trec: " in text(response)
    assert words in text(response)


def test_an_encoder_on_a_dataset_without_corpus_is_refused_naming_it(browser, zoo, nothing_stored):
    with nothing_stored():
        response = browser.post(URL, sent(kind="dense", benchmark="zoo", location="org/model"))

    assert "wild has no corpus here" in text(response)


def test_an_unknown_model_is_refused_with_what_to_do(browser, pets, nothing_stored, monkeypatch, tmp_path):
    def missing(*_named):
        raise EvaluationError("MODEL-MISSING", "the hub has no public model org/none; check its name")

    monkeypatch.setattr(locations, "pinned", missing)
    with nothing_stored():
        response = browser.post(URL, sent(kind="dense", location="org/none"))

    assert "the hub has no public model org/none; check its name." in text(response)


def test_a_model_of_the_operators_folder_is_pinned_without_a_hub(browser, pets, monkeypatch, tmp_path):
    forging.write(tmp_path / "models" / "org" / "model", forging.MODEL)
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path / "models"))

    browser.post(URL, sent(kind="dense", name="Mine", location="org/model"))

    revision = Submission.objects.get().revision
    assert revision.location == "org/model"
    assert revision.version.startswith("sha256:")
    assert revision.files["model.safetensors"] == hashlib.sha256(forging.WEIGHTS).hexdigest()


def test_a_model_that_is_not_safe_is_refused_before_it_is_queued(
    browser, pets, monkeypatch, tmp_path, nothing_stored
):
    evil = {**forging.MODEL, "config.json": {"auto_map": {"AutoModel": "evil.Model"}}}
    forging.write(tmp_path / "models" / "org" / "model", evil)
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path / "models"))

    with nothing_stored():
        response = browser.post(URL, sent(kind="dense", location="org/model"))

    assert "org/model is not taken: error[MODEL-CODE]: config.json has auto_map" in text(response)


def test_the_same_again_is_refused_with_a_link(browser, pets, nothing_stored):
    browser.post(URL, sent())
    first = Submission.objects.get()

    with nothing_stored():
        response = browser.post(URL, sent())

    assert "exactly this before" in text(response)
    assert f'href="/submissions/{first.pk}/"' in text(response)


def test_a_double_click_makes_one_submission(browser, pets):
    key = browser.get(URL).context["form"].initial["key"]

    first, second = (browser.post(URL, sent(key=key)) for _ in range(2))

    assert first["Location"] == second["Location"]
    assert Submission.objects.count() == 1


def test_a_form_that_was_changed_and_sent_again_is_meant(browser, pets):
    browser.post(URL, sent(key="k1"))
    browser.post(URL, sent(key="k1", **{"option-k1": "1"}))

    assert Submission.objects.count() == 2


def test_warnings_are_shown_after_submitting(browser, zoo):
    fields = {"benchmark": "zoo", "kind": "run", "name": "Half", "file-tame": upload()}

    page = text(browser.post(URL, fields, follow=True))

    assert "there is no run for wild" in page


def test_choosing_another_kind_keeps_what_was_typed(browser, pets):
    typed = {"name": "Mine", "note": "later", "option-k1": "0.4", "kind": "bm25"}

    page = browser.post("/submit/fields/?kind=dense&benchmark=pets", typed)

    form = page.context["form"]
    assert form["name"].value() == "Mine"
    assert form["kind"].value() == "dense"
    assert "location" in form.fields
    assert b"<html" not in page.content


class OneLine(io.RawIOBase):
    """A multipart request with a file of one line, made while it is read."""

    HEAD = (
        b'--b\r\nContent-Disposition: form-data; name="benchmark"\r\n\r\npets\r\n'
        b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\nrun\r\n'
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nBig\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file-pets"; filename="pets.trec"\r\n\r\n'
    )
    TAIL = b"\r\n--b--\r\n"

    def __init__(self, file_bytes: int) -> None:
        self.total = len(self.HEAD) + file_bytes + len(self.TAIL)
        self.position = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = min(size if size >= 0 else self.total, self.total - self.position)
        start, self.position = self.position, self.position + size
        chunk = bytearray(b"x" * size)
        for place, piece in ((0, self.HEAD), (self.total - len(self.TAIL), self.TAIL)):
            for offset in range(max(start, place), min(start + size, place + len(piece))):
                chunk[offset - start] = piece[offset - place]
        return bytes(chunk)


def posted(browser, stream: OneLine):
    return browser.request(
        **{
            "REQUEST_METHOD": "POST",
            "PATH_INFO": URL,
            "CONTENT_TYPE": "multipart/form-data; boundary=b",
            "CONTENT_LENGTH": stream.total,
            "wsgi.input": stream,
        }
    )


def test_200_mb_of_one_line_are_refused_quickly_and_never_held_in_memory(browser, pets, nothing_stored):
    begun = monotonic()
    tracemalloc.start()
    with nothing_stored():
        response = posted(browser, OneLine(200 * 2**20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert response.status_code == 422
    assert "pets.trec: line 1 of the run is longer than 4096 bytes" in text(response)
    assert peak < 16 * 2**20
    assert monotonic() - begun < 10


def test_more_than_the_limit_is_turned_away_without_being_parsed_or_kept(browser, pets, nothing_stored):
    stream = OneLine(202 * 2**20)

    tracemalloc.start()
    with nothing_stored():
        response = posted(browser, stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert response.status_code == 413
    assert "together may have 200.0" in text(response)
    assert "Pack run files with gzip" in text(response)
    assert peak < 16 * 2**20
    assert stream.position == stream.total


def test_a_fusion_is_submitted(browser, alice, pets):
    revision = make_revision(make_system(name="MiniLM"), kind="dense", location="org/dense")
    theirs = make_submission(benchmark=pets, revision=revision, state="succeeded")
    fields = {"kind": "fusion", "name": "Both", "option-weights": "0.7,0.3", "device": "gpu"}

    response = browser.post(URL, sent(**fields, **{"member-1": str(theirs.pk), "member-3": "bm25"}))

    submission = Submission.objects.get(owner=alice)
    assert response["Location"] == f"/submissions/{submission.pk}/"
    assert [part.name for part in submission.revision.made_of] == ["MiniLM", "BM25"]
    assert (submission.revision.options["weights"], submission.device) == ("0.7,0.3", "gpu")
    page = text(browser.get(response["Location"]))
    assert f'<dt>Member 1</dt><dd><a href="/systems/{theirs.revision.system_id}/">MiniLM</a>' in page
    assert "<dt>Member 2</dt><dd>BM25" in page


def test_a_reranker_is_submitted_over_bm25(browser, pets, known_model):
    browser.post(URL, sent(kind="rerank", name="Cross", location=known_model, **{"member-1": "bm25"}))

    revision = Submission.objects.get().revision
    assert (revision.location, [part.kind for part in revision.made_of]) == ("org/model", ["bm25"])


def test_members_that_do_not_fit_are_said_beside_their_list_and_stay_chosen(browser, pets):
    response = browser.post(URL, sent(kind="fusion", **{"member-1": "bm25"}))

    assert response.status_code == 422
    assert "Fusion needs 2 to 8 members; 1 given." in text(response)
    assert '<a href="#id_member-2">Member 2</a>' in text(response)
    assert '<option value="bm25" selected>' in text(response)


def test_a_search_for_members_submits_nothing_and_keeps_what_was_typed(browser, alice, pets):
    for name in ("MiniLM", "Contriever"):
        revision = make_revision(make_system(alice, name=name), kind="dense")
        make_submission(owner=alice, benchmark=pets, revision=revision, state="succeeded")
    fields = {"kind": "fusion", "name": "Both", "member-1": "bm25", "member-search": "mini"}

    found = browser.post(URL, sent(**fields, **{"member-searched": ""}))

    assert found.status_code == 200
    assert Submission.objects.filter(revision__kind="fusion").count() == 0
    form = found.context["form"]
    labels = [label for _, label in form.fields["member-2"].widget.choices]
    assert [label.split(" (")[0] for label in labels] == [
        "choose one",
        "BM25 with its settings as they are",
        "MiniLM",
    ]
    assert (form["name"].value(), form["member-1"].value()) == ("Both", "bm25")
    assert form["member-searched"].value() == "mini"
    again = browser.post(URL, sent(**fields, **{"member-searched": "mini"}))
    assert again.status_code == 422  # what is searched for already is no search any more


def test_an_option_that_may_stay_unset_is_offered_unset(browser, pets):
    """A list without an empty line would send its first choice for everyone."""
    form = browser.get(URL, {"kind": "fusion"}).context["form"]

    assert form.fields["option-normalisation"].widget.choices[0] == ("", "not set")


def test_the_number_of_queries_does_not_grow_with_the_board(browser, django_assert_num_queries):
    make_benchmark("one", [make_dataset()])
    browser.get(URL)
    with django_assert_num_queries(4):  # session, user, benchmarks, their datasets
        browser.get(URL)
    for number in range(5):
        make_benchmark(f"more-{number}", [make_dataset(), make_dataset()])
    with django_assert_num_queries(4):
        browser.get(URL)
