"""What every page shares: the frame, the error pages, and that no script is written into a page."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_it_works(client: Client) -> None:
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    assert "There is nothing here" in response.text
    assert "board" in response.text


def test_a_stranger_is_offered_no_logout_and_alice_is_not_offered_to_sign_up(client: Client) -> None:
    assert 'class="menu"' not in client.get("/no/such/page/").text
    client.force_login(make_user("alice"))
    page = client.get("/no/such/page/").text
    assert "<summary>alice</summary>" in page
    assert "Sign up" not in page


def test_no_page_frame_holds_an_inline_script() -> None:
    page = render_to_string("base.html", request=RequestFactory().get("/"))
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", page, re.S)
    assert scripts
    assert all("src=" in attributes and not body.strip() for attributes, body in scripts)
    assert not re.search(r"\son[a-z]+=", page)


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_render_without_a_request_or_a_user(name: str) -> None:
    assert "<h1>" in render_to_string(f"{name}.html")
