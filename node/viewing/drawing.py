"""The viewer's picture, drawn without a browser: sums of weighted rows, then contrast and colours.

The steps are the page's own (static/viewer/renderer.js), with numpy in the place of a graphics
card: every row of the tiles counts 1 / tau of the deepest node shown over it, so the sums are
unbiased; contrast is in localizations per square micrometre, so that it keeps its meaning while
one zooms. Runs in a worker process: the bytes are strangers'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from node.errors import NotFoundError
from node.viewing.scene import Camera, Layer, Scene
from node.viewing.view_state import Channel, Range, ViewState
from smlmfmt.colormaps import DEPTH, colormap
from smlmfmt.errors import FormatError
from smlmfmt.png import encode_png
from smlmfmt.pyramid import About, weights
from smlmfmt.scalebar import burn_scale_bar

__all__ = ["TINTS", "draw_scene", "draw_sums"]

Floats: TypeAlias = npt.NDArray[np.float64]
Picture: TypeAlias = npt.NDArray[np.uint8]

# Of channels that are shown together, in their order: each pair differs in hue and in lightness.
TINTS = ("00e5ff", "ff4fd8", "ffe14d", "7dff6b", "ff8a3d", "8f8bff")
BLOCKS_MAX = 256
BRIGHT_PART = 0.985  # Of the blocks with anything in them, so many are not overexposed.
SIGMA_LEAST_PX = 0.6
SIGMA_MOST_PX = 170.0
SIGMA_STEP = 1.3
REACH = 3.0
GREY = 0.5  # Of a row without a value of the column that colours show.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """Where rows lie, what they add (bands, n), and which class of width they have."""

    index: npt.NDArray[np.intp]
    amounts: Floats
    width: npt.NDArray[np.intp]

    @classmethod
    def none(cls, bands: int) -> _Points:
        nothing = np.zeros(0, np.intp)
        return cls(index=nothing, amounts=np.zeros((bands, 0)), width=nothing)


def draw_scene(scene: Scene) -> bytes:
    """Return the picture as PNG.

    Raises:
        NotFoundError: A pyramid is not what it says it is.
    """
    camera, state = scene.camera, scene.state
    shown = np.zeros((camera.height, camera.width, 3))
    try:
        for layer in scene.layers:
            sums = draw_sums(layer, camera, state)
            shown += _tone(sums, scene, channel=layer.channel)
    except FormatError as error:
        raise NotFoundError(f"this picture cannot be drawn: {error}") from error
    picture = np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    if scene.has_scale_bar:
        side = min(camera.width, camera.height)
        burn_scale_bar(picture[camera.height - side :, :side], side * camera.nm)
    return encode_png(picture)


def draw_sums(layer: Layer, camera: Camera, state: ViewState) -> Floats:
    """Return the estimated rows per pixel, shape (1 or 4, height, width).

    With colours, red, green and blue times the rows follow.
    """
    is_gaussian = state.mode == "gaussian"
    with layer.top.open(layer.tiles) as pyramid:
        ramp = _ramp(pyramid.about, state)
        margin = _margin(pyramid.about, camera) if is_gaussian else 0
        shape = (camera.height + 2 * margin, camera.width + 2 * margin)
        parts = [_Points.none(1 if ramp is None else 4)]
        for node in np.flatnonzero(layer.cut).tolist():
            rows = pyramid.read(node)
            weight = weights(pyramid, layer.cut, node)
            keep = _kept(rows, state)
            column, row = camera.pixels([rows[axis] for axis in "xyz" if axis in rows])
            column, row = np.floor(column) + margin, np.floor(row) + margin
            keep &= (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
            parts.append(
                _Points(
                    index=(row[keep] * shape[1] + column[keep]).astype(np.intp),
                    amounts=_amounts(rows, weight, keep=keep, state=state, ramp=ramp),
                    width=_width(rows, camera, keep)
                    if is_gaussian
                    else np.zeros(np.count_nonzero(keep), np.intp),
                )
            )
    points = _Points(
        index=np.concatenate([part.index for part in parts]),
        amounts=np.concatenate([part.amounts for part in parts], axis=1),
        width=np.concatenate([part.width for part in parts]),
    )
    total = np.zeros((len(points.amounts), *shape))
    for kind in np.unique(points.width).tolist():  # One after the other: images are large.
        of_kind = points.width == kind
        bands = [
            np.bincount(points.index[of_kind], amount[of_kind], shape[0] * shape[1])
            for amount in points.amounts
        ]
        images = np.stack(bands).reshape(-1, *shape).astype(np.float64, copy=False)
        total += _spread(images, kind, state)
    return total[:, margin : margin + camera.height, margin : margin + camera.width]


def _kept(rows: dict[str, Floats], state: ViewState) -> npt.NDArray[np.bool_]:
    keep = np.ones(len(rows["x"]), np.bool_)
    for name, (low, high) in state.filters.items():
        if name in rows:
            keep &= (rows[name] >= low) & (rows[name] <= high)
    return keep


def _amounts(
    rows: dict[str, Floats],
    weight: Floats,
    *,
    keep: npt.NDArray[np.bool_],
    state: ViewState,
    ramp: Range | None,
) -> Floats:
    amounts = [weight[keep]]
    if ramp is not None:
        values = rows[state.by][keep]
        part = np.clip((values - ramp[0]) / max(ramp[1] - ramp[0], 1e-300), 0, 1)
        is_known = np.isfinite(part)
        colors = DEPTH[np.rint(np.where(is_known, part, 0) * (len(DEPTH) - 1)).astype(np.intp)]
        colors = np.where(is_known[:, None], colors / 255, GREY)
        amounts += [amounts[0] * colors[:, band] for band in range(3)]
    return np.stack(amounts)


def _ramp(about: About, state: ViewState) -> Range | None:
    """Return the values at the ends of the colours, None if there is nothing to colour by."""
    measured = about.measured.get(state.by)
    if measured is None:
        return None
    if state.color_range is not None:
        return state.color_range
    counts = np.cumsum(measured.histogram)
    if not counts.size or not counts[-1]:
        return None
    low, high = np.searchsorted(counts, [0.01 * counts[-1], 0.99 * counts[-1]])
    last = len(measured.edges) - 1
    return float(measured.edges[low]), float(measured.edges[min(high + 1, last)])


def _margin(about: About, camera: Camera) -> int:
    measured = about.measured.get("uncertainty_xy")
    widest = (measured.high if measured else None) or camera.nm
    sigma_px = min(max(widest / camera.nm, SIGMA_LEAST_PX), SIGMA_MOST_PX)
    return math.ceil(REACH * sigma_px) + 1


def _width(
    rows: dict[str, Floats], camera: Camera, keep: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Return the class of width of each row: sigma is SIGMA_LEAST_PX * SIGMA_STEP**class."""
    sigma = rows.get("uncertainty_xy", np.full(len(keep), camera.nm))[keep]
    sigma = np.where(np.isfinite(sigma) & (sigma > 0), sigma, camera.nm) / camera.nm
    steps = np.log(np.clip(sigma, SIGMA_LEAST_PX, SIGMA_MOST_PX) / SIGMA_LEAST_PX)
    return np.rint(steps / math.log(SIGMA_STEP)).astype(np.intp)


def _spread(bands: Floats, kind: int, state: ViewState) -> Floats:
    """Return points as they are drawn: as they are, as discs, or as gaussians of their width."""
    if state.mode == "density":
        return bands
    if state.mode == "points":
        reach = math.ceil(state.point_px / 2)
        away = np.arange(-reach, reach + 1)
        disc = (away[:, None] ** 2 + away**2 <= (state.point_px / 2) ** 2).astype(np.float64)
        # As on the page each pixel of a disc counts in full: a disc shows where a point is.
        return _convolve(bands, disc)
    sigma = SIGMA_LEAST_PX * SIGMA_STEP**kind
    reach = math.ceil(REACH * sigma)
    edges = [math.erf((d - 0.5) / (sigma * math.sqrt(2))) for d in range(-reach, reach + 2)]
    line = np.diff(edges) / 2
    line /= line.sum()
    return _convolve(_convolve(bands, line[:, None]), line[None, :])


def _convolve(bands: Floats, kernel: Floats) -> Floats:
    """Return each band spread by the kernel, whose middle is the point itself."""
    axes = [axis for axis, size in enumerate(kernel.shape) if size > 1] or [0]
    size = [_fast(bands.shape[axis + 1] + kernel.shape[axis] - 1) for axis in axes]
    turned = np.fft.rfftn(kernel, size, axes=axes)
    inside = tuple(
        slice(kernel.shape[axis] // 2, kernel.shape[axis] // 2 + bands.shape[axis + 1])
        for axis in range(2)
    )
    # Band by band: the transforms take several times the memory of what they are made of.
    found = [
        np.fft.irfftn(np.fft.rfftn(band, size, axes=axes) * turned, size, axes=axes)[inside]
        for band in bands
    ]
    return np.maximum(np.stack(found), 0)


def _fast(size: int) -> int:
    """Return a length of few small factors, at least the given one."""
    power = 1 << max(0, size - 1).bit_length()
    return min(part for part in (power, power * 3 // 4, power * 5 // 8) if part >= size)


def _tone(sums: Floats, scene: Scene, *, channel: int) -> Floats:
    """Return colours of 0 to 1, shape (height, width, 3)."""
    state = scene.state
    look = state.channels.get(channel, Channel())
    amount = sums[0] / (scene.camera.nm / 1000) ** 2
    low, high = look.contrast or state.contrast or _auto_contrast(amount)
    part = (amount - low) / max(high - low, 1e-30)
    if state.is_log:
        part = np.log1p(np.maximum(amount - low, 0)) / math.log1p(max(high - low, 1e-30))
    value = np.clip(part, 0, 1) ** (look.gamma or state.gamma)
    if len(sums) == 4:
        return np.asarray(np.moveaxis(sums[1:] / np.maximum(sums[0], 1e-30) * value, 0, -1))
    if look.tint is None and scene.channel_count == 1:
        return np.asarray(colormap(state.colormap)[np.rint(255 * value).astype(np.intp)] / 255)
    tint = bytes.fromhex(look.tint or TINTS[channel % len(TINTS)])
    return np.asarray(value[..., None] * (np.frombuffer(tint, np.uint8) / 255))


def _auto_contrast(amount: Floats) -> Range:
    """Return 0 and the brightest but for a few: renderer.js #autoContrast."""
    height, width = amount.shape
    block = -(-max(height, width) // BLOCKS_MAX)
    padded = np.zeros((-(-height // block) * block, -(-width // block) * block))
    padded[:height, :width] = amount
    most = padded.reshape(padded.shape[0] // block, block, -1, block).max(axis=(1, 3))
    most = np.sort(most[most > 0])
    if not most.size:
        return 0.0, 1.0
    return 0.0, float(most[min(most.size - 1, math.floor(BRIGHT_PART * most.size))])
