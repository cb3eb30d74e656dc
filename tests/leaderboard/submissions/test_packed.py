"""Archives of models and of vectors by form and REST: what is stored, what is refused, what a look says."""

import hashlib
import json
from html import unescape

import pytest
from rest_framework.test import APIClient

from evaluations.systems import locations
from leaderboard.accounts.models import AuthToken
from leaderboard.boards.recipes import download_name, recipe
from leaderboard.catalog.models import RevisionFile
from leaderboard.submissions import packed
from leaderboard.submissions.models import Submission
from tests.evaluations.hostile import forging

from .submitting import upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage")]
URL = "/submit/"
WHOLE = {**forging.MODEL, "modules.json": json.dumps(forging.MODULES[:1]).encode()}
LIST_AS_TYPE = forging.safetensors({"w": forging.tensor([1], 0, 4, [])}, b"\0" * 4)
NUL_IN_PATH = json.dumps([{**forging.MODULES[0], "path": "\0"}]).encode()
LINES = {
    "meta.json": forging.META,
    "documents.jsonl": b'{"id": "d1", "vector": {"cat": 1.0}}\n{"id": "d3", "vector": {"fish": 2.0}}\n',
    "queries.jsonl": b'{"id": "q1", "vector": {"cat": 1.0}}\n{"id": "q2", "vector": {"fish": 1.0}}\n',
}


@pytest.fixture
def browser(client, alice):
    client.force_login(alice)
    return client


def sent(content, called="model.zip", **fields):
    return {"benchmark": "pets", "kind": "dense", "name": "Mine", "archive": upload(content, called)} | fields


def sent_vectors(files, **fields):
    return sent(forging.tarred(files), "vectors.tar", kind="vectors", **fields)


def in_folders(*names):
    return {f"{name}/{file}": content for name in names for file, content in LINES.items()}


def text(response) -> str:
    return unescape(response.content.decode())


def test_a_model_archive_is_stored_and_pinned_by_what_is_in_it(browser, pets, tmp_path):
    content = forging.zipped({f"top/{name}": raw for name, raw in WHOLE.items()})
    response = browser.post(URL, sent(content))

    submission = Submission.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/submissions/{submission.pk}/")
    revision = submission.revision
    folder = forging.write(tmp_path / "same", WHOLE)
    assert (revision.location, revision.version) == ("", locations.pin(str(folder), allow_path=True))
    assert revision.files == {name: hashlib.sha256(raw).hexdigest() for name, raw in WHOLE.items()}
    file = revision.uploads.get()
    assert (file.dataset, file.sha256) == (None, hashlib.sha256(content).hexdigest())
    assert file.file.read() == content


def test_the_same_model_packed_otherwise_is_the_same(browser, pets, nothing_stored):
    browser.post(URL, sent(forging.zipped(WHOLE)))
    with nothing_stored():
        again = browser.post(URL, sent(forging.gzipped(forging.tarred(WHOLE)), "m.tar.gz"))
    assert "You submitted exactly this before" in text(again)


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        (forging.zipped({"../x.json": b"{}"}), {}, "is not a plain name inside the archive"),
        (forging.zipped({**WHOLE, "pytorch_model.bin": b"x"}), {}, "'pytorch_model.bin' is a pickle"),
        (forging.zipped({"config.json": forging.CONFIG}), {}, "has no .safetensors file"),
        (
            forging.zipped({**WHOLE, "model.safetensors": LIST_AS_TYPE}),
            {},
            "of type '[]', which is not known",
        ),
        (forging.zipped({**WHOLE, "modules.json": NUL_IN_PATH}), {}, "which is no path of a folder"),
        (b"PK\x03\x04 and no more", {}, "model.zip: the archive is no zip archive or is damaged"),
        (
            forging.zipped(WHOLE),
            {"location": "org/model"},
            "Give a model id or an archive of the model, not both",
        ),
        (forging.zipped(WHOLE), {"revision": "main"}, "A revision is of a model id"),
        (forging.zipped(WHOLE), {"kind": "sparse"}, "declares no sparse head"),
        (forging.zipped(WHOLE), {"kind": "vectors"}, "holds nothing that is read"),
    ],
)
def test_a_bad_archive_is_refused_with_its_reason(browser, pets, nothing_stored, content, fields, words):
    with nothing_stored():
        response = browser.post(URL, sent(content, **fields))
    assert response.status_code == 422
    assert words in text(response)


def test_what_unpacks_to_more_than_the_board_allows_is_refused(browser, pets, settings, nothing_stored):
    settings.UNPACKED_LIMIT_BYTES = 100
    with nothing_stored():
        response = browser.post(URL, sent(forging.zipped(WHOLE)))
    assert "unpacks to more than 100 bytes" in text(response)


def test_an_archive_is_not_unpacked_where_something_else_is_wrong(browser, pets, monkeypatch):
    monkeypatch.setattr(packed.archives, "unpacked", lambda *_: pytest.fail("unpacked"))
    assert "name is missing" in text(browser.post(URL, sent(forging.zipped(WHOLE), name="")))


def test_vectors_of_a_benchmarks_only_dataset_need_no_folder(browser, pets):
    browser.post(URL, sent_vectors(LINES))
    submission = Submission.objects.get()
    assert submission.revision.kind == "vectors"
    assert sorted(submission.revision.files) == sorted(LINES)
    assert {each.dataset.name for each in submission.evaluations.all()} == {"pets"}


def test_vectors_of_several_datasets_are_evaluated_where_there_are_some(browser, zoo):
    response = browser.post(URL, sent_vectors(in_folders("tame"), benchmark="zoo"), follow=True)
    submission = Submission.objects.get()
    assert {each.dataset.name for each in submission.evaluations.all()} == {"tame"}
    assert sorted(submission.revision.files) == [f"tame/{name}" for name in sorted(LINES)]
    assert "The average stays empty, since there is nothing for wild." in text(response)


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        (LINES, {"benchmark": "zoo"}, "it is of one dataset, and the benchmark has 2"),
        (in_folders("tame", "birds"), {"benchmark": "zoo"}, "the benchmark has no dataset 'birds'"),
        ({**LINES, "queries.jsonl": b'{"id": "x", "vector": {"cat": 1}}\n'}, {}, "none of its 1 ids is that"),
        ({**LINES, "queries.jsonl": b'{"id": "q1"}\n'}, {}, 'queries.jsonl line 1 must have one "id"'),
        ({**LINES, "documents.jsonl": b""}, {}, "documents.jsonl holds no vector"),
        ({**LINES, "documents.jsonl": b'{"id": "d1", "vector": {"cat": NaN}}\n'}, {}, "line 1 is not JSON"),
        ({**forging.VECTORS, "documents.npy": forging.npy("(9000000, 3)")}, {}, "declares 108,000,000 bytes"),
        ({**LINES, "queries.npy": forging.npy("(1, 3)")}, {}, "has queries.jsonl and queries.npy"),
    ],
)
def test_bad_vectors_are_refused_by_file_and_line(browser, pets, zoo, nothing_stored, files, fields, words):
    with nothing_stored():
        response = browser.post(URL, sent_vectors(files, **fields))
    assert response.status_code == 422
    assert words in text(response)


def test_judged_queries_without_a_vector_are_a_warning(browser, pets):
    files = {**LINES, "queries.jsonl": b'{"id": "q1", "vector": {"cat": 1}}\n'}
    page = text(browser.post(URL, sent_vectors(files), follow=True))
    assert "1 of 2 judged queries have no vector and score 0" in page


def test_rest_takes_both_as_multipart_and_answers_by_field(alice, pets):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=alice)[1]}")
    good = api.post("/api/v1/submissions/", sent(forging.zipped(WHOLE)), format="multipart")
    assert good.status_code == 201, good.json()
    assert good.json()["revision"]["version"].startswith("sha256:")
    bad = api.post("/api/v1/submissions/", sent_vectors({"meta.json": b"{}"}), format="multipart")
    assert bad.status_code == 400
    assert list(bad.json()["errors"]) == ["archive"]


def test_only_the_owner_downloads_an_archive(client, browser, alice, charlie, pets):
    archive = forging.zipped(WHOLE)  # once: it holds the time
    browser.post(URL, sent(archive))
    file = RevisionFile.objects.get()
    page = f"/submissions/{Submission.objects.get().pk}/"
    assert f'href="/runs/{file.pk}/"' in text(browser.get(page))
    assert b"".join(browser.get(f"/runs/{file.pk}/").streaming_content) == archive
    client.force_login(charlie)
    assert client.get(f"/runs/{file.pk}/").status_code == 404
    assert f'href="/runs/{file.pk}/"' not in text(client.get(page))


def test_the_recipe_says_what_to_download_and_where_to_unpack_it(browser, pets):
    browser.post(URL, sent(forging.zipped(WHOLE)))
    browser.post(URL, sent_vectors(LINES, name="Others"))
    dataset = pets.members()[0].dataset
    for file, place, called in (
        (RevisionFile.objects.get(revision__kind="dense"), "./model", "model.zip"),
        (RevisionFile.objects.get(revision__kind="vectors"), "./vectors", "vectors.tar"),
    ):
        found = recipe(file.revision, dataset, "cpu", {file.revision_id: file})
        version = f"@{file.revision.version}" if file.revision.kind == "dense" else ""
        assert f"--system {file.revision.kind}:{place}{version}" in found.command
        assert download_name(file) == called
        assert found.needs[0].startswith(f"{called}: the submitted archive, sha256 {file.sha256}")


def looked(browser, **headers):
    def post(**fields):
        response = browser.post("/submit/look/", {"benchmark": "pets", "kind": "dense", **fields}, **headers)
        assert response.status_code == 200
        assert Submission.objects.count() == 0
        return response

    return post


def test_a_look_at_an_archive_says_what_it_is_and_fills_in_what_was_empty(browser, pets):
    files = {**WHOLE, "README.md": b"---\nlicense: mit\nlanguage: en\n---\n"}
    response = looked(browser)(archive=upload(forging.zipped(files), "my-model.zip"), note="typed")
    form = response.context["form"]
    assert (form["name"].value(), form["licence"].value(), form["note"].value()) == (
        "my-model",
        "mit",
        "typed",
    )
    page = text(response)
    assert "It can be submitted" in page
    assert "mit <span" in page
    assert "from README.md" in page


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model.safetensors": LIST_AS_TYPE}, "which is not known"),
        ({"modules.json": NUL_IN_PATH}, "which is no path of a folder"),
        ({"config_sentence_transformers.json": b'{"model_type": []}'}, "has a model_type that is no text"),
        ({"config.json": b'{"architectures": ["X\\ud800"]}'}, "config.json: is not JSON"),
    ],
)
def test_a_look_at_what_no_loader_expects_says_so(browser, pets, changed, words):
    response = looked(browser)(archive=upload(forging.zipped({**WHOLE, **changed}), "m.zip"))
    assert words in text(response)


def test_nothing_that_was_typed_is_changed_by_a_look(browser, pets):
    files = {**WHOLE, "README.md": b"---\nlicense: mit\n---\n"}
    fields = {"name": "Typed", "licence": "other", "option-max_length": "7"}
    form = looked(browser)(archive=upload(forging.zipped(files), "m.zip"), **fields).context["form"]
    assert [form[name].value() for name in fields] == ["Typed", "other", "7"]


def test_a_look_turns_the_form_to_the_kind_that_was_found(browser, pets):
    response = looked(browser)(archive=upload(forging.zipped(LINES), "v.zip"))
    assert response.context["chosen"].kind.name == "vectors"
    decoder = {**WHOLE, "config.json": json.dumps({"architectures": ["MistralForCausalLM"]}).encode()}
    del decoder["modules.json"]
    form = looked(browser)(archive=upload(forging.zipped(decoder), "d.zip")).context["form"]
    assert form["kind"].value() == "sparse"
    assert form["option-document_template"].value() == "{text}\n{text}"


def test_a_look_says_why_something_would_be_refused(browser, pets):
    page = text(looked(browser)(archive=upload(forging.zipped({**WHOLE, "run.py": b""}), "m.zip")))
    assert "It would be refused: error[MODEL-CODE]: 'run.py' is code" in page


def test_a_look_at_a_model_of_the_operators_folder(browser, pets, monkeypatch, tmp_path):
    forging.write(tmp_path / "org" / "model", WHOLE)
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path))
    form = looked(browser)(location="org/model").context["form"]
    assert (form["name"].value(), form["url"].value()) == ("model", "https://huggingface.co/org/model")


def test_no_hub_within_reach_is_said_and_nothing_is_lost(browser, pets, monkeypatch):
    from huggingface_hub import HfApi

    def away(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(HfApi, "model_info", away)
    response = looked(browser)(location="org/far", note="typed")
    assert "the hub cannot be reached" in text(response)
    assert response.context["form"]["location"].value() == "org/far"
    assert response.context["form"]["note"].value() == "typed"


@pytest.mark.parametrize("location", ["/etc", "../models/x", "https://example.org/a/b", ""])
def test_no_path_and_no_address_is_ever_looked_at(browser, pets, location):
    page = text(looked(browser)(location=location))
    assert "is no model id" in page or "model id is missing" in page


def test_htmx_gets_the_form_alone(browser, pets):
    response = looked(browser, headers={"HX-Request": "true"})(location="/etc")
    assert b"<html" not in response.content
    assert b'id="look"' in response.content


def test_strangers_may_not_look(client, pets):
    assert client.post("/submit/look/", {}).status_code == 302


def test_hostile_words_of_a_card_are_shown_as_words(browser, pets):
    card = b"---\nlicense: <script>alert(1)</script>\n---\n"
    files = {**WHOLE, "README.md": card}
    response = looked(browser)(archive=upload(forging.zipped(files), "<b>.zip"))
    assert b"<script>alert(1)" not in response.content
    assert b"&lt;script&gt;alert(1)" in response.content
