"""Sign-up, login, logout, lockout, forgotten passwords."""

import re

import pytest
from django.core import mail
from django.core.cache import cache

from leaderboard.accounts.lockout import typed_name
from leaderboard.accounts.models import User
from tests.factories import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fresh_limits(settings, tmp_path):
    """Limits count in the cache: every test begins at nought."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()


def sign_up(client, **fields):
    filled = {"username": "alice", "email": "", "password1": PASSWORD, "password2": PASSWORD}
    return client.post("/accounts/signup/", filled | fields)


def log_in(client, login="alice", password=PASSWORD, **fields):
    return client.post("/accounts/login/", {"login": login, "password": password} | fields)


def test_it_works(client):
    response = sign_up(client)

    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)


@pytest.mark.parametrize(
    "path", ["login", "signup", "logout", "password/reset", "password/reset/done", "inactive"]
)
def test_every_page_has_the_sites_frame(client, path):
    if path == "logout":
        client.force_login(make_user())

    page = client.get(f"/accounts/{path}/").content.decode()

    assert '<main id="content">' in page
    assert "board.css" in page


@pytest.mark.parametrize("path", ["email", "password/change", "profile", "tokens", "reauthenticate"])
def test_pages_of_an_account_need_one(client, path):
    url = f"/accounts/{path}/"

    assert client.get(url)["Location"].startswith("/accounts/login/")
    client.force_login(make_user())
    assert '<main id="content">' in client.get(url).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password2": "another horse"}, "same password"),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
        ({"username": ""}, "required"),
        ({"username": "<script>"}, "username"),
    ],
)
def test_bad_sign_ups_are_refused(client, fields, words):
    response = sign_up(client, **fields)

    assert words in response.content.decode()
    assert User.objects.count() == 0


def test_a_name_is_taken_once(client):
    make_user("alice")

    assert "already exists" in sign_up(client).content.decode()


def test_login_leads_to_where_one_was_going_and_nowhere_else(client):
    make_user("alice")

    assert log_in(client, next="/submit/?kind=run")["Location"] == "/submit/?kind=run"
    client.logout()
    assert log_in(client, next="https://evil.example/")["Location"] == "/"


def test_login_by_e_mail(client):
    make_user("alice", email="alice@example.org")

    assert log_in(client, login="alice@example.org").status_code == 302


def test_logout_takes_a_post(client):
    client.force_login(make_user())

    assert "Sign out?" in client.get("/accounts/logout/").content.decode()
    assert "_auth_user_id" in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.org"])
def test_ten_failures_lock_a_name_for_one_address_only(client, login):
    make_user("alice", email="alice@example.org")
    for _ in range(9):
        assert log_in(client, login=login, password="wrong").status_code == 200

    locked = log_in(client, login=login, password="wrong")

    assert locked.status_code == 429
    assert "Locked for a while" in locked.content.decode()
    assert log_in(client, login=login).status_code == 429
    elsewhere = client.post(
        "/accounts/login/", {"login": login, "password": PASSWORD}, REMOTE_ADDR="192.0.2.7"
    )
    assert elsewhere.status_code == 302


def test_many_sign_ups_from_one_address_are_slowed_down(client):
    answers = [sign_up(client, username="").status_code for _ in range(21)]

    assert answers == [200] * 20 + [429]


def test_without_a_mail_server_no_link_is_promised(client):
    page = client.get("/accounts/password/reset/").content.decode()

    assert "This site has no mail server" in page


def test_a_forgotten_password_is_chosen_anew(client, settings):
    settings.EMAIL_HOST = "mail.example.org"
    make_user("alice", email="alice@example.org")

    assert client.post("/accounts/password/reset/", {"email": "alice@example.org"}).status_code == 302
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    new = "a quite different horse"
    client.post(form.request["PATH_INFO"], {"password1": new, "password2": new})

    assert log_in(client, password=new).status_code == 302


def test_nobody_learns_which_addresses_have_an_account(client):
    make_user("alice", email="alice@example.org")

    known = client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


@pytest.mark.parametrize(
    ("credentials", "name"),
    [({"username": "Alice"}, "alice"), ({"email": "A@x.org"}, "a@x.org"), ({"password": "p"}, "")],
)
def test_the_name_that_failures_count_for(rf, credentials, name):
    assert typed_name(rf.post("/"), credentials) == name
