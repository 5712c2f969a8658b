"""One real node with a few datasets, and a real Chromium to read it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import smlmfmt
from smlmfmt.simulate import simulate
from tests.processes import nodes

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Site:
    """A running node and what was published on it, by name."""

    node: nodes.RunningNode
    datasets: dict[str, str]
    originals: dict[str, Path]

    @property
    def url(self) -> str:
        return self.node.url


def find_chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    home = folder / "home"
    nodes.init(home, "Browser Lab")
    datasets, originals = {}, {}
    for number, (name, tags) in enumerate(
        {
            "Microtubules in COS-7": ("modality:dstorm", "structure:microtubules"),
            "Microtubules in U2OS": ("modality:palm", "structure:microtubules"),
            "Clathrin-coated pits": ("modality:palm", "structure:clathrin"),
        }.items()
    ):
        path = folder / f"cell{number}.csv"
        table = simulate("microtubules", seed=number, localizations=4_000)
        smlmfmt.write(path, table, format="thunderstorm")
        options = [option for tag in tags for option in ("--tag", tag)]
        added = nodes.cli(
            home,
            *("add", str(path), "--name", name, "--description", f"{name}, simulated."),
            *("--author", "Ada Muster", "--license", "CC-BY-4.0", *options, "--publish"),
        )
        datasets[name], originals[name] = added["dataset"], path
    node = nodes.serve(home)
    yield Site(node=node, datasets=datasets, originals=originals)
    node.stop()
    if node.process.stdout is not None:
        node.process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Module scope: as long as it is open, no other test could run an event loop.
    path = find_chromium()
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about; a test that expects something takes it out."""
    return []


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest, chromium: Browser, site: Site, complaints: list[str]
) -> Iterator[Page]:
    """A page at the size of a desk and of a phone; no complaint goes unnoticed."""
    width, height = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": height}, base_url=site.url, accept_downloads=True
    )
    page = context.new_page()
    listen(page, complaints)
    yield page
    context.close()
    assert complaints == []


def listen(page: Page, complaints: list[str]) -> None:
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
