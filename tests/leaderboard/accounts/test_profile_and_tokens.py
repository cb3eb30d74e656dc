"""A person's profile and API tokens."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.accounts.models import AuthToken
from leaderboard.accounts.views import MAX_TOKENS
from tests.factories import make_user

pytestmark = pytest.mark.django_db
TOKENS = "/accounts/tokens/"


@pytest.fixture
def alice(client):
    person = make_user("alice")
    client.force_login(person)
    return person


def test_it_works(client, alice):
    response = client.post(TOKENS, {"name": "laptop", "scope": "submit"})

    token = AuthToken.objects.get()
    secret = response.context["secret"]
    assert (token.user, token.name, token.scope) == (alice, "laptop", "submit")
    assert secret.startswith(token.token_key)
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]


def test_a_token_is_shown_once(client, alice):
    secret = client.post(TOKENS, {"name": "laptop", "scope": "read"}).context["secret"]

    page = client.get(TOKENS).content.decode()

    assert "laptop" in page
    assert secret not in page
    assert secret not in str(vars(AuthToken.objects.get()))


def test_a_token_signs_in_and_ends_in_a_year(client, alice):
    secret = client.post(TOKENS, {"name": "laptop", "scope": "read"}).context["secret"]
    client.logout()

    answer = client.get("/api/v1/submissions/", headers={"Authorization": f"Token {secret}"})

    assert answer.status_code == 200
    assert AuthToken.objects.get().expiry - timezone.now() > timedelta(days=364)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "", "scope": "read"}, "required"),
        ({"name": "n" * 81, "scope": "read"}, "at most 80"),
        ({"name": "x", "scope": "admin"}, "admin is not one of the available choices"),
    ],
)
def test_a_bad_token_is_not_made(client, alice, fields, words):
    response = client.post(TOKENS, fields)

    assert response.status_code == 422
    assert words in response.content.decode()
    assert AuthToken.objects.count() == 0


def test_tokens_have_a_number(client, alice):
    for number in range(MAX_TOKENS):
        AuthToken.objects.create(alice, name=f"t{number}")

    response = client.post(TOKENS, {"name": "one more", "scope": "read"})

    assert response.status_code == 422
    assert AuthToken.objects.count() == MAX_TOKENS


def test_a_revoked_token_lets_nobody_in(client, alice):
    token, secret = AuthToken.objects.create(alice, name="leaked")

    client.post("/accounts/tokens/revoke/", {"digest": token.digest})
    client.logout()

    assert client.get("/api/v1/submissions/", headers={"Authorization": f"Token {secret}"}).status_code == 401


def test_charlie_can_neither_see_nor_revoke_alices_token(client, alice):
    token, _ = AuthToken.objects.create(alice, name="alices own")
    client.force_login(make_user("charlie"))

    assert "alices own" not in client.get(TOKENS).content.decode()
    assert client.post("/accounts/tokens/revoke/", {"digest": token.digest}).status_code == 404
    assert AuthToken.objects.count() == 1


@pytest.mark.parametrize("digest", ["", "no such", "nul\x00", "a" * 200])
def test_an_unknown_token_answers_404(client, alice, digest):
    assert client.post("/accounts/tokens/revoke/", {"digest": digest}).status_code == 404


def test_a_hostile_name_is_text(client, alice):
    client.post(TOKENS, {"name": "<b>bold</b>", "scope": "read"})

    page = client.get(TOKENS).content.decode()

    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_the_profile_keeps_the_organisation(client, alice):
    assert client.post("/accounts/profile/", {"organisation": "Acme"})["Location"] == "/accounts/profile/"
    alice.refresh_from_db()

    assert alice.organisation == "Acme"
    assert 'value="Acme"' in client.get("/accounts/profile/").content.decode()


def test_a_profile_form_changes_nothing_else(client, alice):
    client.post("/accounts/profile/", {"organisation": "Acme", "is_staff": "on", "username": "root"})
    alice.refresh_from_db()

    assert (alice.username, alice.is_staff) == ("alice", False)


def test_too_long_an_organisation_is_refused(client, alice):
    response = client.post("/accounts/profile/", {"organisation": "o" * 121})

    assert response.status_code == 422
    assert "at most 120" in response.content.decode()
