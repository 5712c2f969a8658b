"""Localizations onto a square grid of pixels, as counts or as gaussians of their uncertainty.

Every localization in view adds exactly 1 to the picture, wherever it lies and however wide it is
drawn, so a picture's total is the number of localizations in view.

A gaussian is drawn at its pixel, not by itself: localizations are counted per class of width
(geometric steps, `SIGMA_STEP`) and each class's counts are blurred once, so time and memory follow
the number of pixels, not of localizations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.summary import lateral_uncertainty
from smlmfmt.table import LocTable

__all__ = ["Bounds", "Depth", "View", "auto_view", "draw", "view_of"]

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]
Bounds: TypeAlias = tuple[tuple[float, float], tuple[float, float]]

BLOCK_ROWS = 1 << 20
CELLS_MAX = 1 << 24  # Cells (pixels x classes) counted at once: 128 MiB.
LENGTH_MAX_NM = 1e12  # Beyond a kilometre a coordinate is no position and is left out.
SIDE_MIN_NM = 1000.0  # One point, or many at one place, are shown in a field of 1 um.
SIDE_LEAST_NM = 1e-3  # A smaller extent is one place.
SAMPLE_ROWS = 200_000
SIGMA_STEP = 1.3
SIGMA_MIN_PX = 0.3
SIGMA_MAX_PART = 0.05  # Of the picture's side; wider than that says nothing about a place.
STRIP_PX_MIN = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A square field: its corner of least x and y, its side, and the picture's side in pixels."""

    x_nm: float
    y_nm: float
    side_nm: float
    size_px: int

    @property
    def pixel_nm(self) -> float:
        """The side of one pixel."""
        return self.side_nm / self.size_px

    def pixels(self, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic]) -> Indices:
        """Return the flat pixel index of each point, row by row of y; -1 if not in view."""
        column = (x.astype(np.float64) - self.x_nm) / self.pixel_nm
        row = (y.astype(np.float64) - self.y_nm) / self.pixel_nm
        size = self.size_px
        # Comparisons with NaN are false, so NaN is never in view. The far edges are.
        inside = (column >= 0) & (column <= size) & (row >= 0) & (row <= size)
        last = size - 1
        columns = np.minimum(np.where(inside, column, 0).astype(np.intp), last)
        rows = np.minimum(np.where(inside, row, 0).astype(np.intp), last)
        return np.where(inside, rows * size + columns, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Colours of z: `lut`, shape (levels, 3), runs from z_min_nm to z_max_nm."""

    z_min_nm: float
    z_max_nm: float
    lut: npt.NDArray[np.uint8]

    def tints(self, z: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """Return the colour of each z, shape (n, 3); an unknown z is taken as the middle."""
        middle = (self.z_min_nm + self.z_max_nm) / 2
        values = np.nan_to_num(z.astype(np.float64), nan=middle)
        span = max(self.z_max_nm - self.z_min_nm, 1e-9)
        part = np.clip((values - self.z_min_nm) / span, 0, 1)
        return self.lut[(part * (len(self.lut) - 1)).astype(np.intp)]


def view_of(bounds: Bounds, size_px: int) -> View:
    """Return the smallest square around the bounds, ((x_min, x_max), (y_min, y_max)) in nm.

    Raises:
        FormatError: A bound is above its partner, not finite, or beyond a kilometre.
    """
    for low, high in bounds:
        if not -LENGTH_MAX_NM <= low <= high <= LENGTH_MAX_NM:
            raise FormatError(f"bounds must be finite and rise from min to max, got {bounds}")
    return _square(bounds, size_px)


def _square(bounds: Bounds, size_px: int) -> View:
    (x_min, x_max), (y_min, y_max) = bounds
    side = max(x_max - x_min, y_max - y_min)
    if not side > SIDE_LEAST_NM:
        side = SIDE_MIN_NM
    return View(
        x_nm=(x_min + x_max - side) / 2,
        y_nm=(y_min + y_max - side) / 2,
        side_nm=side,
        size_px=size_px,
    )


def auto_view(table: LocTable, size_px: int) -> View | None:
    """Return the view of all localizations, or None if none has a position.

    If a few strays would shrink the rest to less than two thirds of the picture, the view holds
    99.8 % along each axis instead.

    Raises:
        HeaderError: The table has no x or no y.
    """
    if not {"x", "y"} <= set(table):
        raise HeaderError(f"a picture needs columns x and y, got {', '.join(table) or 'none'}")
    limits = [_limits(table[axis]) for axis in ("x", "y")]
    if None in limits:
        return None
    whole, inner = ([pair[kind] for pair in limits if pair] for kind in (0, 1))
    sides = [max(high - low for low, high in box) for box in (whole, inner)]
    box = inner if sides[1] > 0 and sides[0] > 1.5 * sides[1] else whole
    margin = 0.05 * max(sides[1], 0) if box is inner else 0.01 * sides[0]
    (x_min, x_max), (y_min, y_max) = box
    return _square(((x_min - margin, x_max + margin), (y_min - margin, y_max + margin)), size_px)


Limits: TypeAlias = tuple[float, float]


def _limits(column: npt.NDArray[np.generic]) -> tuple[Limits, Limits] | None:
    """Return the least and greatest position, and those of the inner 99.8 %."""
    low, high = math.inf, -math.inf
    for start in range(0, len(column), BLOCK_ROWS):
        values = _positions(column[start : start + BLOCK_ROWS])
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low > high:
        return None
    sample = _positions(column[:: max(1, len(column) // SAMPLE_ROWS)])
    if not sample.size:
        return (low, high), (low, high)
    inner = np.quantile(sample.astype(np.float64), [0.001, 0.999])
    return (low, high), (float(inner[0]), float(inner[1]))


def _positions(values: npt.NDArray[np.generic]) -> Floats:
    floats = values.astype(np.float64)
    return floats[np.abs(floats) <= LENGTH_MAX_NM]


def draw(
    table: LocTable, view: View, *, gaussian: bool = False, depth: Depth | None = None
) -> Floats:
    """Return the localizations in view as an image, or as four with depth.

    Args:
        table: With columns x and y, and z if depth is given.
        view: The field and its pixels.
        gaussian: Spread each localization as a gaussian of its lateral uncertainty, integrated
            over pixels; one without a usable uncertainty is given one pixel. Else count them.
        depth: Also sum the colours of z.

    Returns:
        Shape (1 or 4, size_px, size_px); row 0 is least y. First the density (per pixel), then,
        with depth, the density times red, green and blue of 0 to 1.
    """
    size = view.size_px
    classes = _classes(table, view) if gaussian else range(1)
    images = np.zeros((4 if depth else 1, size, size))
    batch = max(1, CELLS_MAX // (size * size))
    for start in range(classes.start, classes.stop, batch):
        chosen = range(start, min(start + batch, classes.stop))
        counts = _count(table, view, chosen=chosen if gaussian else None, depth=depth)
        for index, name in enumerate(chosen):
            drawn = counts[:, index]
            images += _blur(drawn, SIGMA_MIN_PX * SIGMA_STEP**name) if gaussian else drawn
    return images


def _count(table: LocTable, view: View, *, chosen: range | None, depth: Depth | None) -> Floats:
    """Return counts of shape (channels, classes, size, size) for the chosen classes of width."""
    size, classes = view.size_px, len(chosen) if chosen else 1
    cells = classes * size * size
    counts = np.zeros((4 if depth else 1, cells))
    for rows in _row_blocks(table):
        index = view.pixels(table["x"][rows], table["y"][rows])
        keep = index >= 0
        if chosen:
            width = _width(table, view, rows) - chosen.start
            keep &= (width >= 0) & (width < classes)
            index = index + width * (size * size)
        index = index[keep]
        if index.size:
            np.add.at(counts[0], index, 1.0)
        if index.size and depth:
            tints = depth.tints(table["z"][rows][keep]) / 255
            for channel in range(3):
                np.add.at(counts[channel + 1], index, tints[:, channel])
    return counts.reshape(-1, classes, size, size)


def _row_blocks(table: LocTable) -> Iterator[slice]:
    for start in range(0, len(table), BLOCK_ROWS):
        yield slice(start, start + BLOCK_ROWS)


def _width(table: LocTable, view: View, rows: slice) -> Indices:
    """Return the class of width of each row: sigma is SIGMA_MIN_PX * SIGMA_STEP**class pixels."""
    sigma_nm = lateral_uncertainty(table, rows)
    count = len(table["x"][rows])
    if sigma_nm is None:
        sigma_nm = np.full(count, view.pixel_nm)
    usable = np.isfinite(sigma_nm) & (sigma_nm > 0)
    sigma_px = np.where(usable, sigma_nm, view.pixel_nm) / view.pixel_nm
    widest = max(SIGMA_MIN_PX, SIGMA_MAX_PART * view.size_px)
    steps = np.log(np.clip(sigma_px, SIGMA_MIN_PX, widest) / SIGMA_MIN_PX) / math.log(SIGMA_STEP)
    return np.rint(steps).astype(np.intp)


def _classes(table: LocTable, view: View) -> range:
    first, last = [0], [0]
    if len(table):
        widths = [_width(table, view, rows) for rows in _row_blocks(table)]
        first, last = [int(w.min()) for w in widths], [int(w.max()) for w in widths]
    return range(min(first), max(last) + 1)


def _blur(images: Floats, sigma_px: float) -> Floats:
    """Return images with each pixel spread as a gaussian that keeps its sum in its image."""
    if not images.any():
        return images
    size = images.shape[-1]
    reach = min(size - 1, math.ceil(4 * sigma_px + 0.5))
    # The gaussian's share in the pixel at each distance: a difference of two error functions.
    edges = [math.erf((d - 0.5) / (sigma_px * math.sqrt(2))) for d in range(reach + 2)]
    kernel = np.diff(edges) / 2
    rows = _blur_rows(images, kernel).swapaxes(1, 2)
    return _blur_rows(rows, kernel).swapaxes(1, 2)


def _blur_rows(images: Floats, kernel: Floats) -> Floats:
    """Convolve along the rows' axis: a band matrix times the image, strip by strip."""
    size, reach = images.shape[1], len(kernel) - 1
    # What would fall off the picture stays in it: each source pixel's shares add up to 1.
    sums = np.convolve(np.ones(size), np.concatenate([kernel[:0:-1], kernel]))
    source = images / sums[reach : reach + size, None]
    blurred = np.empty_like(images)
    strip = max(STRIP_PX_MIN, 2 * reach)
    for start in range(0, size, strip):
        stop = min(start + strip, size)
        low, high = max(0, start - reach), min(size, stop + reach)
        distance = np.abs(np.arange(start, stop)[:, None] - np.arange(low, high)[None, :])
        band = np.where(distance <= reach, kernel[np.minimum(distance, reach)], 0.0)
        blurred[:, start:stop] = band @ source[:, low:high]
    return blurred
