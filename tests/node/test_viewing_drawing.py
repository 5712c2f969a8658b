"""Pictures drawn here: their sums are the estimator's, and no state and no bytes break them."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.errors import NotFoundError
from node.viewing.drawing import draw_scene, draw_sums
from node.viewing.scene import Camera, Layer, Scene, aim, select_nodes
from node.viewing.shelf import Shelf, Top, read_each
from node.viewing.view_state import Channel, ViewState, parse_state
from smlmfmt import pyramid
from smlmfmt.pyramid import Grid, estimate
from tests.node.viewed import make_table

ROWS = 120_000


async def layer_of(
    path: Path, camera: Camera | None, state: ViewState, *, rows_max: int = 500_000
) -> tuple[Layer, Camera]:
    data = await asyncio.to_thread(path.read_bytes)

    async def read(start: int, end: int) -> bytes:
        return data[start:end]

    top: Top = await Shelf().top("a", len(data), read)
    if camera is None:
        with pyramid.open(path) as opened:
            camera = aim(state, [opened.bounds], width=160, height=120)
    cut = select_nodes(top, camera, rows_max=rows_max)
    tiles = await read_each(top, np.flatnonzero(cut).tolist(), read)
    return Layer(channel=0, top=top, cut=cut, tiles=tiles), camera


@pytest.fixture(scope="module", params=[2, 3])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyramid") / f"{request.param}.pyramid"
    pyramid.build(make_table(ROWS, dimension=request.param), path)
    return path


@pytest.mark.parametrize("rows_max", [1, 40_000, 500_000])
async def test_the_drawn_sums_are_the_estimators(path: Path, rows_max: int) -> None:
    state = parse_state("at=9000,9000&nm=50")
    layer, camera = await layer_of(path, None, state, rows_max=rows_max)
    sums = draw_sums(layer, camera, state)
    grid = Grid(x=9000 - 80 * 50, y=9000 - 60 * 50, pixel=50, width=160, height=120)
    with pyramid.open(path) as opened:
        truth = estimate(opened, grid, layer.cut).density
    np.testing.assert_allclose(sums[0], truth, rtol=1e-12)
    assert sums.sum() > 0


@pytest.mark.parametrize("text", ["m=gaussian", "m=gaussian&by=frame", "by=frame"])
async def test_every_mode_keeps_the_number_of_rows(path: Path, text: str) -> None:
    state = parse_state(text)
    layer, camera = await layer_of(path, None, state)
    assert draw_sums(layer, camera, state)[0].sum() == pytest.approx(ROWS, rel=0.01)


async def test_filters_and_turns_keep_what_they_say(path: Path) -> None:
    with pyramid.open(path) as opened:
        rows = [opened.read(node) for node in range(len(opened.nodes))]
    state = parse_state("f.frame=1..4500&f.uncertainty_xy=0..10&rot=30,50")
    layer, camera = await layer_of(path, None, state)
    truth = sum(
        np.count_nonzero((tile["frame"] <= 4500) & (tile["uncertainty_xy"] <= 10)) for tile in rows
    )
    # A turned field is larger than the picture that would just hold it unturned.
    camera = replace(camera, nm=camera.nm * 2)
    layer, _ = await layer_of(path, camera, state)
    shown = draw_sums(layer, camera, state)[0].sum()
    assert shown == pytest.approx(truth, rel=0.03)


STATES = [
    "",
    "m=points&px=5",
    "m=gaussian&nm=0.05&at=500,500",
    "nm=10000000",
    "nm=0.001",
    "at=1e12,-1e12",
    "by=z&rot=10,20",
    "by=nothing",
    "by=intensity&range=5..5",
    "c=5..5&g=20",
    "c=-1..1e12&log=1&g=0.05",
    "h0=,,ff8800,&map=ice",
    "f.x=0..1&f.nothing=2..3",
]


@pytest.mark.parametrize("text", STATES)
async def test_every_state_is_a_picture(path: Path, text: str) -> None:
    state = parse_state(text)
    layer, camera = await layer_of(path, None, state)
    scene = Scene(camera=camera, state=state, layers=(layer,), channel_count=1, has_scale_bar=True)
    image = Image.open(io.BytesIO(draw_scene(scene)))
    assert image.size == (160, 120)


async def test_channels_add_their_tints(path: Path) -> None:
    state = replace(
        parse_state("m=gaussian"), channels={0: Channel(tint="ff0000"), 1: Channel(tint="00ff00")}
    )
    layer, camera = await layer_of(path, None, state)
    scene = Scene(
        camera=camera,
        state=state,
        layers=(layer, replace(layer, channel=1)),
        channel_count=2,
        has_scale_bar=False,
    )
    picture = np.asarray(Image.open(io.BytesIO(draw_scene(scene))).convert("RGB"))
    assert picture[..., 0].max() == picture[..., 1].max() == 255
    assert picture[..., 2].max() == 0
    assert np.array_equal(picture[..., 0], picture[..., 1])


async def test_tiles_of_a_stranger_cannot_break_it(path: Path) -> None:
    state = parse_state("by=frame")
    layer, camera = await layer_of(path, None, state)
    wrong = {node: b"\xff" * len(tile) for node, tile in layer.tiles.items()}
    scene = Scene(
        camera=camera,
        state=state,
        layers=(replace(layer, tiles=wrong),),
        channel_count=1,
        has_scale_bar=False,
    )
    with pytest.raises(NotFoundError, match="cannot be drawn"):
        draw_scene(scene)
    short = {node: tile[:-4] for node, tile in layer.tiles.items()}
    with pytest.raises(NotFoundError, match="cannot be drawn"):
        draw_scene(replace(scene, layers=(replace(layer, tiles=short),)))
