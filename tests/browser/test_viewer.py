"""The viewer in a real browser: what is drawn adds up, and everything is in the address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import smlmfmt
from smlmfmt.simulate import simulate
from tests.browser.colormaps_for_pages import PATH, document
from tests.browser.conftest import FLAGS, find_chromium, listen
from tests.processes import nodes

pytestmark = [pytest.mark.browser, pytest.mark.processes]

# The processor draws here; the flags keep that from depending on what a browser falls back to.
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
ROWS = 60_000
SETTLED = (
    "Boolean(window.locmeshViewer?.renderer.channels.length && locmeshViewer.renderer.isSettled)"
)


@dataclass(frozen=True)
class Shown:
    """A running node with one dataset of two channels in one sample, and its tables."""

    url: str
    dataset: str
    tables: dict[str, smlmfmt.LocTable]

    def address(self, fragment: str = "") -> str:
        return f"{self.url}/datasets/{self.dataset}/view{fragment}"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("viewer")
    home, sample = folder / "home", folder / "data" / "cell 1"
    sample.mkdir(parents=True)
    nodes.init(home, "Viewer Lab")
    tables = {
        "a.smlm": simulate("mitochondria", seed=1, localizations=ROWS),
        "b.smlm": simulate("mitochondria", seed=2, localizations=ROWS // 2),
    }
    for name, table in tables.items():
        smlmfmt.write(sample / name, table)
    read = {name: smlmfmt.read(sample / name).tables[0] for name in tables}
    added = nodes.cli(
        home,
        *("add", str(folder / "data"), "--name", "Two mitochondria", "--description", "Simulated."),
        *("--author", "Ada Muster", "--license", "CC-BY-4.0", "--tag", "modality:dstorm"),
        "--publish",
    )
    node = nodes.serve(home)
    yield Shown(url=node.url, dataset=added["dataset"], tables=read)
    node.stop()
    if node.process.stdout is not None:
        node.process.stdout.close()


@pytest.fixture(scope="module")
def drawing_chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*flags, *WEBGL])
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desktop", "phone"])
def tab(
    request: pytest.FixtureRequest, drawing_chromium: Browser, complaints: list[str]
) -> Iterator[Page]:
    width, height = request.param
    context = drawing_chromium.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    listen(page, complaints)
    yield page
    context.close()
    assert complaints == []


def settle(page: Page) -> dict[str, Any]:
    """Wait until the picture is complete; return what the viewer says of it."""
    page.wait_for_timeout(300)
    for _ in range(300):
        if page.evaluate(SETTLED):
            stats: dict[str, Any] = page.evaluate("locmeshViewer.stats()")
            return stats
        page.wait_for_timeout(100)
    raise AssertionError(page.evaluate("document.getElementById('notice').textContent"))


def totals(page: Page) -> list[float]:
    return [channel["total"] for channel in settle(page)["channels"]]


def test_everything_is_drawn_with_its_weight(tab: Page, shown: Shown) -> None:
    tab.goto(shown.address())
    # Less what lies on the very edge of a pixel grid that ends with the data.
    assert totals(tab) == pytest.approx([ROWS, ROWS // 2], rel=2e-3)
    assert "localizations" in tab.locator("#badge").inner_text()
    assert tab.locator("#scale span").inner_text().split("\u2009")[0] in {"1", "2", "5", "10"}


def test_a_zoomed_view_adds_up_to_what_lies_in_it(tab: Page, shown: Shown) -> None:
    table = shown.tables["a.smlm"]
    x, y = float(np.median(table["x"])), float(np.median(table["y"]))
    tab.goto(shown.address(f"#v=1&at={x},{y},0&nm=5&h1=,,,0"))
    total = totals(tab)[0]
    width, height = tab.evaluate("[locmeshViewer.camera.width, locmeshViewer.camera.height]")
    inside = (np.abs(table["x"] - x) < width * 2.5) & (np.abs(table["y"] - y) < height * 2.5)
    # One row more or less at the edges: positions are kept to a fraction of a nanometre.
    assert total == pytest.approx(np.count_nonzero(inside), rel=2e-3, abs=3)
    assert tab.evaluate("locmeshViewer.stats().channels[0].isAll")


def test_filters_keep_what_they_say(tab: Page, shown: Shown) -> None:
    table = shown.tables["a.smlm"]
    last = int(np.median(table["frame"]))
    tab.goto(shown.address(f"#v=1&f.frame=0..{last}&f.z=-200..200&h1=,,,0"))
    kept = np.count_nonzero((table["frame"] <= last) & (np.abs(table["z"]) <= 200))
    assert totals(tab)[0] == pytest.approx(kept, rel=5e-3)
    tab.locator("#picture").focus()
    tab.keyboard.press("p")
    tab.wait_for_timeout(1_000)
    assert "kept" in tab.locator("#panel [role=status]").inner_text()


@pytest.mark.parametrize(
    ("mode", "area"), [("density", 1.0), ("points&px=8", np.pi * 16), ("gaussian", 1.0)]
)
def test_every_way_of_drawing_adds_up(tab: Page, shown: Shown, mode: str, area: float) -> None:
    tab.goto(shown.address(f"#v=1&m={mode}&rot=30,50&by=z&nm=120"))
    assert totals(tab) == pytest.approx([ROWS * area, ROWS // 2 * area], rel=1e-2)


def test_a_link_gives_the_same_picture(tab: Page, shown: Shown) -> None:
    tab.goto(shown.address("#v=1&m=gaussian&by=frame&map=viridis&g=0.8&new=kept"))
    settle(tab)
    box = tab.locator("#picture").bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 100, box["y"] + 120)
    tab.mouse.wheel(0, -600)
    settle(tab)
    tab.wait_for_timeout(500)
    address = tab.url
    assert "new=kept" in address
    assert "nm=" in address
    tab.mouse.move(0, 0)
    other = tab.context.new_page()
    other.goto(address)
    settle(other)
    assert other.evaluate("locmeshViewer.text()") == tab.evaluate("locmeshViewer.text()")
    assert totals(other) == pytest.approx(totals(tab), rel=1e-6)


def test_the_keyboard_does_what_the_mouse_does(tab: Page, shown: Shown) -> None:
    tab.goto(shown.address())
    settle(tab)
    tab.locator("#picture").focus()
    before = tab.evaluate("[locmeshViewer.camera.nmPerPx, ...locmeshViewer.camera.centre]")
    for key in ("+", "ArrowRight", "Shift+ArrowUp", "d", "z", "]", "2"):
        tab.keyboard.press(key)
    settle(tab)
    after = tab.evaluate("[locmeshViewer.camera.nmPerPx, ...locmeshViewer.camera.centre]")
    assert after[0] < before[0]
    assert after[1] > before[1]
    state = tab.evaluate("locmeshViewer.text()")
    assert "m=points" in state
    assert "by=z" in state
    assert "h1=,,,0" in state
    tab.keyboard.press("r")
    settle(tab)
    assert tab.evaluate("locmeshViewer.camera.nmPerPx") == pytest.approx(before[0])
    tab.keyboard.press("?")
    assert tab.locator("#help").is_visible()
    tab.keyboard.press("Escape")
    assert not tab.locator("#help").is_visible()


def test_opening_and_closing_leaves_nothing(drawing_chromium: Browser, shown: Shown) -> None:
    page = drawing_chromium.new_page(viewport={"width": 400, "height": 300})
    page.goto(shown.address())
    settle(page)
    for _ in range(20):
        page.evaluate("locmeshViewer.openSample(0, { isFirst: true })")
        settle(page)
    stats = settle(page)
    assert len(stats["channels"]) == 2
    assert page.evaluate("locmeshViewer.renderer.gl.getError()") == 0
    # Tiles of 60,000 and 30,000 rows in 3D, and two pictures a channel: nothing of those before.
    assert stats["byteLength"] < 12 * (ROWS + ROWS // 2) * 1.5 + 4 * 4 * 400 * 300 * 4
    page.close()


def test_without_webgl_the_node_draws(drawing_chromium: Browser, shown: Shown) -> None:
    page = drawing_chromium.new_page(viewport={"width": 400, "height": 300})
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(shown.address("#v=1&m=gaussian"))
    picture = page.locator("#stage > img")
    picture.wait_for()
    assert "m=gaussian" in str(picture.get_attribute("src"))
    page.wait_for_timeout(3_000)
    assert picture.evaluate("image => image.naturalWidth") > 0
    assert "drawn by the node" in page.locator("#notice").inner_text()
    page.close()


def test_the_colour_maps_are_those_of_the_library() -> None:
    assert Path(PATH).read_text(encoding="utf-8") == document()
