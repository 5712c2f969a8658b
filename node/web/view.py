"""The viewer of a dataset: its page, what it shows, and the same picture drawn here."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from node.catalog.views import DatasetView
from node.errors import InputError, NotFoundError
from node.ingest.workers import Workers
from node.viewing.drawing import draw_scene
from node.viewing.region import written_formats
from node.viewing.scene import Layer, Scene, aim, select_nodes
from node.viewing.shelf import read_each
from node.viewing.view_state import Channel, ViewState, format_state, parse_state
from node.web.dataset_page import file_href, publisher_name
from node.web.keys import DRAWINGS, NODE
from node.web.pages import page, picture_url
from node.web.pyramids import open_pyramid
from node.web.visit import viewer_of
from protocol.records import File, Sample, TableSummary

__all__ = [
    "Drawings",
    "channels_of",
    "dataset_of",
    "describe_view",
    "get_image",
    "get_view_document",
    "get_view_page",
]

SIZE_PX_MAX = 4_096
PIXELS_MAX = 1 << 22
WIDTH_PX, HEIGHT_PX = 800, 600
ROWS_MAX = 1_500_000
CHANNELS_MAX = 16
KEPT_SIZE_MAX = 32 << 20
WAITING_MAX = 16
TIMEOUT_S = 60.0
_EMBEDDED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors *"
)


class Drawings:
    """Draws pictures in a process of its own, and keeps those that were drawn last."""

    def __init__(self) -> None:
        self._workers = Workers(1)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._waiting = 0

    def kept(self, tag: str) -> bytes | None:
        """Return a picture that was drawn before."""
        picture = self._kept.get(tag)
        if picture is not None:
            self._kept.move_to_end(tag)
        return picture

    def check_room(self) -> None:
        """Raise HTTPTooManyRequests if too many wait for a picture already."""
        if self._waiting >= WAITING_MAX:
            raise web.HTTPTooManyRequests(headers={"Retry-After": "10"})

    async def draw(self, scene: Scene, tag: str) -> bytes:
        """Return the picture as PNG.

        Raises:
            InputError: It takes too long, or the process died of it.
            NotFoundError: A pyramid is not what it says it is.
        """
        self.check_room()
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT_S):
                picture = await self._workers.run(draw_scene, scene, what="picture")
        except TimeoutError as error:
            raise InputError(
                "this picture takes too long to draw; ask for a smaller one"
            ) from error
        finally:
            self._waiting -= 1
        self._size += len(picture) - len(self._kept.pop(tag, b""))
        self._kept[tag] = picture
        while self._size > KEPT_SIZE_MAX:
            self._size -= len(self._kept.popitem(last=False)[1])
        return picture

    async def close(self, _: web.Application) -> None:
        """End the process."""
        await self._workers.close()


async def get_view_page(request: web.Request) -> web.Response:
    """GET /datasets/{id}/view: the viewer; all its state is in the fragment."""
    view = await dataset_of(request)
    is_embedded = request.query.get("embed") == "1"
    values = {
        "dataset": view.dataset,
        "name": view.metadata.name,
        "description": view.metadata.description,
        "publisher": {"id": view.publisher.id, "name": publisher_name(view)},
        "href": f"/datasets/{view.dataset}",
        "data": f"/datasets/{view.dataset}/view.json",
        "image": f"/datasets/{view.dataset}/image.png",
        "preview": picture_url(request, view.dataset),
        "is_embedded": is_embedded,
        "is_local": False,
    }
    response = await page(request, "view.html", {"page": values})
    if is_embedded:
        # This answer alone may stand in other sites' pages: it shows, and changes nothing.
        response.headers["Content-Security-Policy"] = _EMBEDDED_POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


async def get_view_document(request: web.Request) -> web.Response:
    """GET /datasets/{id}/view.json: what there is to see."""
    view = await dataset_of(request)
    response = web.json_response(describe_view(view))
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie"
    response.enable_compression()
    return response


async def get_image(request: web.Request) -> web.Response:
    """GET /datasets/{id}/image.png: a view as the server draws it."""
    view = await dataset_of(request)
    state = parse_state(request.query.items())
    width, height = _size(request, "w", WIDTH_PX), _size(request, "h", HEIGHT_PX)
    if width * height > PIXELS_MAX:
        raise InputError(f"w and h: a picture has at most {PIXELS_MAX} pixels")
    has_bar = request.query.get("bar", "1") != "0"
    said = f"{view.record} {format_state(state)} {width} {height} {has_bar} {_VERSION}"
    tag = hashlib.sha256(said.encode()).hexdigest()
    control = "public, max-age=300" if view.visibility == "public" else "private, no-cache"
    headers = {"ETag": f'"{tag}"', "Cache-Control": control}
    if any(known.value in {tag, "*"} for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    drawings = request.app[DRAWINGS]
    picture = drawings.kept(tag)
    if picture is None:
        drawings.check_room()
        scene = await _scene(request.app, view, state, size=(width, height), has_bar=has_bar)
        picture = await drawings.draw(scene, tag)
    return web.Response(body=picture, content_type="image/png", headers=headers)


_VERSION = 1  # Of the drawing: a change here makes every picture new.


def describe_view(view: DatasetView) -> dict[str, Any]:
    """Return what the page needs to know of a dataset."""
    data, base = view.metadata, f"/datasets/{view.dataset}"
    numbers = {sample.name: number for number, sample in enumerate(data.samples)}
    return {
        "dataset": view.dataset,
        "revision": view.revision,
        "record": view.record,
        "name": data.name,
        "publisher": {"id": view.publisher.id, "name": publisher_name(view)},
        "license": data.license,
        "samples": [_sample(view.dataset, sample) for sample in data.samples],
        "views": [
            {
                "name": saved.name,
                "sample": numbers.get(saved.sample, 0),
                "state": saved.state,
                "thumbnail": f"/blobs/{saved.thumbnail.sha256}"
                if saved.thumbnail
                else f"{base}/image.png?{saved.state}&s={numbers.get(saved.sample, 0)}"
                "&w=256&h=256&bar=0",
            }
            for saved in data.views
        ],
        "formats": [
            {"name": item.name, "title": item.title, "suffix": next(iter(item.suffixes), "")}
            for item in written_formats()
        ],
    }


def channels_of(sample: Sample) -> list[tuple[File, int, TableSummary]]:
    """Return the tables of a sample in the order of the viewer's channels.

    Each with its file and its number in there.
    """
    return [
        (file, number, table) for file in sample.files for number, table in enumerate(file.tables)
    ]


def _sample(dataset: str, sample: Sample) -> dict[str, Any]:
    return {
        "name": sample.name,
        "channels": [
            {
                "name": table.name or file.name,
                "channel": table.channel,
                "file": file.name,
                "format": file.format,
                "rows": table.rows,
                "dimension": table.dimension,
                "bounds": {axis: list(ends) for axis, ends in table.bounds.items()},
                "uncertainty_nm": table.uncertainty_nm,
                "pyramid": {
                    "sha256": table.pyramid.sha256,
                    "size": table.pyramid.size,
                    "href": f"/pyramids/{table.pyramid.sha256}",
                }
                if table.pyramid
                else None,
                "region": f"/datasets/{dataset}/region",
            }
            for file, _, table in channels_of(sample)
        ],
        "images": [
            {
                "name": file.name,
                "href": file_href(dataset, file),
                "media_type": file.media_type,
                "size": file.size,
            }
            for file in sample.files
            if file.role == "image"
        ],
    }


async def dataset_of(request: web.Request) -> DatasetView:
    """Return the dataset in the address; a shortened id leads to the whole one."""
    node, given = request.app[NODE], request.match_info["id"]
    _, dataset = await node.catalog.resolve(given, kinds=("dataset",))
    if dataset != given:
        there = request.path.replace(given, dataset, 1)
        query = f"?{urlencode(list(request.query.items()))}" if request.query else ""
        raise web.HTTPFound(there + query)
    return await node.catalog.dataset(dataset, viewer=viewer_of(request))


async def _scene(
    app: web.Application,
    view: DatasetView,
    state: ViewState,
    *,
    size: tuple[int, int],
    has_bar: bool,
) -> Scene:
    """Gather what a picture needs: few tiles, whatever the size of the table."""
    samples = view.metadata.samples
    if state.sample >= len(samples):
        raise NotFoundError(f"s: the dataset has {len(samples)} samples, counted from 0")
    channels = channels_of(samples[state.sample])
    pyramids = [
        (number, table.pyramid) for number, (_, _, table) in enumerate(channels) if table.pyramid
    ]
    shown = [
        (number, blob)
        for number, blob in pyramids
        if state.channels.get(number, Channel()).is_visible
    ][:CHANNELS_MAX]
    if not pyramids:
        raise NotFoundError("this sample has no table that can be drawn")
    opened = [(number, *await open_pyramid(app, blob.sha256)) for number, blob in shown]
    bounds = [await asyncio.to_thread(_bounds, top) for _, top, _ in opened]
    camera = aim(state, bounds, width=size[0], height=size[1])
    layers = []
    for number, top, source in opened:
        cut = await asyncio.to_thread(
            select_nodes, top, camera, rows_max=ROWS_MAX // max(1, len(opened))
        )
        tiles = await read_each(top, cut.nonzero()[0].tolist(), source.read)
        layers.append(Layer(channel=number, top=top, cut=cut, tiles=tiles))
    return Scene(
        camera=camera,
        state=state,
        layers=tuple(layers),
        channel_count=len(pyramids),
        has_scale_bar=has_bar,
    )


def _bounds(top: Any) -> tuple[tuple[float, float], ...]:
    with top.open({}) as pyramid:
        bounds: tuple[tuple[float, float], ...] = pyramid.bounds
        return bounds


def _size(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "") or str(default)
    size = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= size <= SIZE_PX_MAX:
        raise InputError(f"{name}: wants 1 to {SIZE_PX_MAX} pixels, got {text[:20]!r}")
    return size
