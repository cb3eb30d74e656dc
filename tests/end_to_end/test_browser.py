"""The path a person walks, in Chromium: sign up, submit, watch, find the row, sort, open the chart."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from tests.conftest import require_binary
from tests.end_to_end.services import Board

pytestmark = pytest.mark.services

STAGES = re.compile(r"loading|encoding|searching|reranking|profiling|scoring")
EVALUATION_MS = 240_000


class Console:
    """What the browser complained about, with the page it was on."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.location}: {message.text}")

    def _failed(self, url: str, failure: str | None) -> None:
        if failure != "net::ERR_ABORTED":  # a poll that the next page cut short
            self.complaints.append(f"{url}: {failure}")


@pytest.fixture
def page(board: Board) -> Iterator[Page]:
    binary = require_binary("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        page = browser.new_page(base_url=board.url, viewport={"width": 1280, "height": 900})
        page.set_default_timeout(15_000)
        yield page
        browser.close()


def sign_up(page: Page, username: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Username").fill(username)
    page.locator("input[name=password1]").fill("correct horse battery")
    page.locator("input[name=password2]").fill("correct horse battery")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text(username).first).to_be_visible()


def submit(page: Page, kind: str, curve: str = "", **fields: str) -> None:
    """`curve`: of operating points, to be asked for with its default values."""
    page.get_by_role("link", name="Submit a system").first.click()
    choice = page.locator(".choice a").filter(has_text=re.compile(f"^{kind}$"))
    if choice.get_attribute("aria-current") is None:
        choice.click()
    expect(choice).to_have_attribute("aria-current", "true")
    for name, value in fields.items():
        page.locator(f"#submission [name={name}]").fill(value)
    if curve:
        page.locator("details.sweeps > summary").click()
        page.locator(f"[name='sweep-{curve}']").check()
    leave_times_out(page)
    page.get_by_role("button", name="Submit to Mini").click()
    expect(page).to_have_url(re.compile(r"/submissions/[0-9a-f-]{36}/"))


def leave_times_out(page: Page) -> None:
    """They wait for a quiet machine, and no worker of latency is started here."""
    measure = page.locator("#submission [name=tracks]")
    if measure.count():
        measure.select_option(label="Quality and sparsity: no times")


def watch(page: Page) -> set[str]:
    """The stages that the status page showed, by itself, until the submission succeeded."""
    page.evaluate("window.neverReloaded = true")
    seen: set[str] = set()
    status = page.locator("#status")
    for _ in range(EVALUATION_MS // 250):
        text = status.inner_text()
        seen.update(STAGES.findall(text))
        assert "failed" not in text, text
        if "See the leaderboard" in text:
            break
        page.wait_for_timeout(250)
    expect(page.get_by_role("link", name="See the leaderboard")).to_be_visible()
    assert page.evaluate("window.neverReloaded")
    return seen


def systems_in_order(page: Page) -> list[str]:
    return [name.strip() for name in page.locator("#board tbody th a").all_inner_texts()]


def test_from_sign_up_to_the_chart(page: Page) -> None:
    console = Console(page)
    sign_up(page, "alice")
    submit(page, "BM25", name="BM25")
    watch(page)
    model = "sentence-transformers/all-MiniLM-L6-v2"
    submit(page, "Dense bi-encoder", curve="vector-bits", name="MiniLM", location=model)
    stages = watch(page)
    assert {"loading", "encoding"} <= stages

    page.get_by_role("link", name="See the leaderboard").click()
    expect(page.locator("#board tbody tr")).to_have_count(2)
    assert systems_in_order(page) == ["MiniLM", "BM25"]  # 0.768 and 0.658
    page.get_by_role("link", name="Index size", exact=True).last.click()
    expect(page.locator("#board tbody th a").first).to_have_text("BM25")  # 0.1 MB and 0.3 MB
    assert "sort=" in page.url
    page.reload()
    assert systems_in_order(page) == ["BM25", "MiniLM"]

    expect(page.locator("#plot.drawn .scatterlayer .point")).to_have_count(2)
    page.get_by_role("link", name="MiniLM").last.click()
    expect(page.get_by_text("python -m evaluations evaluate").first).to_be_visible()
    page.locator(".sweep .plot").scroll_into_view_if_needed()
    expect(page.locator(".sweep .plot.drawn .scatterlayer .point").first).to_be_visible()
    expect(page.locator(".sweep table tbody tr")).to_have_count(4)  # unmodified, and 8, 4 and 1 bit
    assert console.complaints == []


def test_a_refused_form_says_where_and_keeps_what_was_typed(page: Page) -> None:
    sign_up(page, "alice")
    page.goto("/submit/?kind=dense&benchmark=mini")
    page.locator("#submission [name=name]").fill("My model")
    page.locator("#submission [name=location]").fill("../../etc/passwd")
    page.get_by_role("button", name="Submit to Mini").click()
    expect(page.get_by_role("alert")).to_contain_text("ORG/NAME")
    expect(page.locator("#submission [name=name]")).to_have_value("My model")
    page.goto("/submissions/")
    expect(page.locator("tbody tr")).to_have_count(0)


def test_a_fusion_is_made_of_what_is_chosen_from_the_list(page: Page) -> None:
    console = Console(page)
    sign_up(page, "alice")
    submit(page, "BM25", name="Words of mine")
    watch(page)
    page.goto("/submit/?kind=fusion&benchmark=mini")
    page.locator("[name=name]").fill("Twice the same")
    page.locator("[name=member-1]").select_option(label="BM25 with its settings as they are")
    page.locator("[name=member-search]").fill("words of")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("[name=name]")).to_have_value("Twice the same")
    expect(page.locator("[name=member-1]")).to_have_value("bm25")
    chosen = page.locator("[name=member-2] option").filter(has_text="Words of mine")
    page.locator("[name=member-2]").select_option(chosen.get_attribute("value"))
    leave_times_out(page)
    page.get_by_text("Settings of Fusion").click()
    page.locator("[name=option-weights]").fill("1")
    page.get_by_role("button", name="Submit to Mini").click()
    expect(page.get_by_role("alert")).to_contain_text("must be 2 numbers, one a member")
    page.locator("[name=option-weights]").fill("0.7,0.3")
    page.get_by_role("button", name="Submit to Mini").click()
    expect(page.get_by_role("link", name="Words of mine")).to_be_visible()
    watch(page)
    page.get_by_role("link", name="See the leaderboard").click()
    expect(page.locator("#board tbody tr")).to_have_count(2)
    figures = page.locator("#board tbody tr td:nth-child(3)").all_inner_texts()
    assert len(set(figures)) == 1, figures  # lists that are equal, fused, keep their order
    page.get_by_role("link", name="Twice the same").last.click()
    page.get_by_text("What each part has by itself").click()
    expect(page.get_by_role("columnheader", name="member 2 (bm25)")).to_be_visible()
    # the refusal above is a 422, which browsers complain of
    assert [each for each in console.complaints if " 422 " not in each] == []
