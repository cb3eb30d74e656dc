"""Sparse encoders are refused before they are queued, options at their fields: by form, look and REST."""

from html import unescape

import pytest
from django.test import Client
from rest_framework.test import APIClient

from leaderboard.accounts.models import AuthToken
from leaderboard.submissions import submit
from leaderboard.submissions.models import Submission
from tests.evaluations.hostile import forging
from tests.evaluations.inspection.sparse_models import NO_HEAD
from tests.evaluations.inspection.sparse_models import WHOLE as MODELS

from .submitting import upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recorder", "storage", "pets")]
WITH_IDF = {**MODELS["plain"], "idf.json": b'{"wing": 1.0}'}
REFUSED = [
    (MODELS["tied"], {}, "document_template", "a causal language model needs it"),
    (MODELS["tied"], {"document_template": "again"}, "document_template", "has {text} 0 times"),
    (
        MODELS["tied"],
        {"document_template": "{text} {text} {text}"},
        "document_template",
        "has {text} 3 times",
    ),
    (
        MODELS["tied"],
        {"document_template": "{text}", "query_template": "again"},
        "query_template",
        "has {text} 0 times",
    ),
    (MODELS["tied"], {"document_template": "{text}", "query_prompt": "q"}, "query_prompt", "does nothing"),
    (WITH_IDF, {}, "activation", "does not say how documents are activated"),
    (MODELS["splade"], {"activation": "relu"}, "activation", "does nothing for a saved SparseEncoder"),
    (MODELS["plain"], {"document_template": "{text}"}, "document_template", "does nothing for a masked"),
]
each_refusal = pytest.mark.parametrize(("files", "options", "field", "words"), REFUSED)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Puts files where models of the hub are kept on this machine."""

    def publish(files):
        forging.write(tmp_path / "org" / "model", files)
        monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path))

    return publish


def asked(**fields):
    return submit.SubmissionRequest(**{"benchmark": "pets", "kind": "sparse", "name": "S"} | fields)


def refused(**fields):
    with pytest.raises(submit.Refused) as refusal:
        submit.validate(asked(**fields))
    return refusal.value.errors


@each_refusal
def test_an_option_that_does_not_fit_a_named_model_is_refused(published, files, options, field, words):
    published(files)
    errors = refused(location="org/model", options=options)
    assert list(errors) == [f"option-{field}"]
    assert words in errors[f"option-{field}"][0]


@each_refusal
def test_and_one_that_does_not_fit_an_archive(files, options, field, words):
    errors = refused(archive=upload(forging.zipped(files), "m.zip"), options=options)
    assert list(errors) == [f"option-{field}"]
    assert words in errors[f"option-{field}"][0]


def test_all_that_does_not_fit_is_said_at_once(published):
    published(MODELS["tied"])
    errors = refused(location="org/model", options={"activation": "relu", "query_template": "again"})
    assert set(errors) == {"option-activation", "option-document_template", "option-query_template"}


@pytest.mark.parametrize(
    ("files", "options"),
    [
        (MODELS["tied"], {"document_template": "{text} {text}"}),
        (WITH_IDF, {"activation": "relu"}),
        (MODELS["splade"], {"query_prompt": "q"}),
        (MODELS["plain"], {}),
    ],
)
def test_what_fits_is_taken(published, files, options):
    published(files)
    assert submit.validate(asked(location="org/model", options=options)).plan.kind.name == "sparse"


def test_a_dense_model_submitted_as_sparse_is_refused_at_its_name(published):
    published(NO_HEAD["dense"][0])
    [message] = refused(location="org/model")["location"]
    assert "HEAD-MISSING" in message


@pytest.fixture
def browser(client: Client, alice):
    client.force_login(alice)
    return client


def test_the_form_says_it_at_the_field(browser, published):
    published(MODELS["tied"])
    sent = {"benchmark": "pets", "kind": "sparse", "name": "S", "location": "org/model"}
    response = browser.post("/submit/", sent | {"option-document_template": "again"})
    assert response.status_code == 422
    assert "has {text} 0 times" in response.context["form"].errors["option-document_template"][0]
    assert Submission.objects.count() == 0


def test_rest_says_it_at_the_field(alice, published):
    published(MODELS["tied"])
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=alice)[1]}")
    body = {"benchmark": "pets", "kind": "sparse", "name": "S", "location": "org/model"}
    answer = api.post("/api/v1/submissions/", body, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["option-document_template"]


def test_a_look_says_it_at_the_field_and_keeps_what_was_typed(browser, published):
    published(MODELS["tied"])
    typed = {"benchmark": "pets", "kind": "sparse", "location": "org/model", "note": "mine"}
    response = browser.post("/submit/look/", typed | {"option-document_template": "again"})
    form = response.context["form"]
    assert list(form.errors) == ["option-document_template"]
    assert (form["note"].value(), form["name"].value()) == ("mine", "model")
    page = unescape(response.content.decode())
    assert "It would be refused: option document_template: 'again' has {text} 0 times" in page
    assert "It can be submitted" not in page
    assert "Not submitted" not in page  # nobody tried to


def test_a_look_fills_in_what_the_model_needs_and_then_refuses_nothing(browser, published):
    published(MODELS["tied"])
    response = browser.post("/submit/look/", {"benchmark": "pets", "kind": "dense", "location": "org/model"})
    form = response.context["form"]
    assert form["option-document_template"].value() == "{text}\n{text}"
    assert not form.errors
    assert "It can be submitted" in response.content.decode()
