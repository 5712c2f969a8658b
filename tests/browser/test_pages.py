"""What people do in a browser: search, narrow, open, download; by keyboard; without scripts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site, listen

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# Sums up how far things jumped that nobody had touched.
WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def is_phone(page: Page) -> bool:
    assert page.viewport_size is not None
    return page.viewport_size["width"] < 500


def cards(page: Page) -> list[str]:
    return page.locator(".card h2").all_inner_texts()


def choose(page: Page, label: str) -> None:
    """Choose a filter: at a desk it applies at once, on a phone the sheet's button does."""
    if is_phone(page):
        page.get_by_role("button", name="Filters").click()
        page.get_by_label(label, exact=False).first.check()
        page.get_by_role("button", name="Show datasets").click()
    else:
        page.get_by_label(label, exact=False).first.click()


def hash_of(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_search_narrow_and_take_back(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("3 datasets from 1 publisher")
    page.get_by_role("searchbox").fill("microtubules")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 datasets from 1 publisher")
    # The address names what was chosen and nothing else.
    assert page.url.endswith("/?q=microtubules")
    choose(page, "PALM")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 dataset from 1 publisher")
    assert page.url.endswith("/?q=microtubules&tag=modality%3Apalm")
    assert cards(page) == ["Microtubules in U2OS"]
    page.get_by_role("list", name="Chosen filters").get_by_role("link", name="PALM").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 datasets from 1 publisher")
    page.go_back()
    assert cards(page) == ["Microtubules in U2OS"]


def test_open_a_dataset_and_download_its_file(page: Page, site: Site) -> None:
    name = "Microtubules in COS-7"
    page.goto("/?q=COS-7")
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    original = site.originals[name]
    digest = hash_of(original)
    expect(page.get_by_text(digest)).to_be_visible()
    for part in ("About", "Samples and files", "Revisions", "Provenance and copies"):
        page.get_by_role("navigation", name="On this page").get_by_role("link", name=part).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename == original.name
    assert hash_of(waiting.value.path()) == digest


def test_no_page_is_wider_than_its_window_or_jumps(page: Page, site: Site) -> None:
    page.add_init_script(WATCH_SHIFTS)
    dataset = site.datasets["Clathrin-coated pits"]
    for address in (
        "/",
        "/?q=nothing+like+this&tag=modality:palm",
        f"/datasets/{dataset}",
        "/publishers",
        f"/publishers/{site.node.publisher}",
        "/network",
        "/login",
    ):
        page.goto(address, wait_until="load")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.evaluate("window.innerWidth"), address
        assert page.evaluate("window.shifted") < 0.01, address
        broken = page.evaluate(
            "[...document.images].filter((image) => image.complete && !image.naturalWidth).length"
        )
        assert broken == 0, address


def test_a_walk_by_keyboard_alone(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("clathrin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 dataset from 1 publisher")
    link = page.get_by_role("link", name="Clathrin-coated pits")
    walk_to(page, "Clathrin-coated pits")
    expect(link).to_be_focused()
    ring = link.evaluate("(a) => getComputedStyle(a, '::after').outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Clathrin-coated pits")
    walk_to(page, "Download")
    focused = page.locator(":focus")
    assert focused.evaluate("(a) => getComputedStyle(a).outlineStyle") == "solid"
    with page.expect_download():
        page.keyboard.press("Enter")


def walk_to(page: Page, word: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if word in page.evaluate("document.activeElement.textContent"):
            return
    raise AssertionError(f"Tab never reaches {word!r}")


def test_escape_closes_the_sheet_and_choices_wait_for_the_button(page: Page) -> None:
    if not is_phone(page):
        pytest.skip("only a phone has the sheet")
    page.goto("/")
    sheet = page.locator("#filters")
    expect(sheet).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    expect(sheet).to_be_visible()
    page.get_by_label("PALM").check()
    page.get_by_label("clathrin", exact=False).first.check()
    assert page.url.endswith("/")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_filtering_keeps_the_eye_and_the_keyboard_in_place(page: Page) -> None:
    if is_phone(page):
        pytest.skip("at a desk the filters are beside the results")
    page.goto("/")
    page.get_by_label("PALM").check()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 datasets from 1 publisher")
    expect(page.get_by_label("PALM")).to_be_focused()


def test_light_and_dark(page: Page) -> None:
    def ground() -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    page.emulate_media(color_scheme="dark")
    page.goto("/")
    assert ground() == "rgb(15, 17, 19)"
    page.get_by_role("button", name="Light").click()
    assert ground() == "rgb(251, 251, 250)"
    page.reload()
    assert ground() == "rgb(251, 251, 250)"
    page.get_by_role("button", name="System").click()
    page.reload()
    assert ground() == "rgb(15, 17, 19)"
    # Pictures keep their black ground in both.
    black = page.locator(".picture").first.evaluate("(p) => getComputedStyle(p).backgroundColor")
    assert black == "rgb(0, 0, 0)"


def test_signing_in_by_the_link_and_out(
    chromium: Browser, site: Site, complaints: list[str]
) -> None:
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    listen(page, complaints)
    page.goto(site.node.login_url)
    assert page.url == site.url + "/"
    page.get_by_role("link", name="Drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drafts")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert complaints == []
    page.goto(site.node.login_url)
    expect(page.get_by_text("used before")).to_be_visible()
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_works_without_scripts(chromium: Browser, site: Site, width: int) -> None:
    context = chromium.new_context(
        base_url=site.url,
        java_script_enabled=False,
        accept_downloads=True,
        viewport={"width": width, "height": 844},
    )
    page = context.new_page()
    page.goto("/")
    page.get_by_role("searchbox").fill("microtubules")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 datasets from 1 publisher")
    if width < 500:
        page.get_by_role("button", name=re.compile("^Filters")).click()
        page.get_by_label("PALM").check()
        page.get_by_role("button", name="Show datasets").click()
    else:
        page.get_by_label("PALM").check()
        page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 dataset from 1 publisher")
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert "tag=modality" in page.url
    page.get_by_role("link", name="Microtubules in U2OS").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert hash_of(waiting.value.path()) == hash_of(site.originals["Microtubules in U2OS"])
    context.close()
