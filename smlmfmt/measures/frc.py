"""Resolution by Fourier ring correlation (FRC).

The localizations are dealt to two halves (`split`), each is counted into pixels, and the two
images' Fourier transforms are correlated over rings of equal spatial frequency q:

    FRC(q) = sum F1 conj(F2) / sqrt(sum |F1|^2 sum |F2|^2)

The resolution is 1/q where the smoothed curve first falls below 1/7 (Nieuwenhuizen et al., Nature
Methods 10, 557 (2013); Banterle et al., J. Struct. Biol. 183, 363 (2013)).

Field and pixels: a square of SIZE_PX pixels over all localizations, under Tukey's window; where
the resolution would be under PIXELS_MIN pixels, the pixels are halved and the square moves to where
localizations are densest, up to ZOOMS_MAX times. All localizations of the square count.

Spurious correlation: emitters that are localized again and again look alike in both halves
however badly they sample the structure. Whole runs of frames in one half keep out what shines on
from frame to frame, but not what blinks again later, so that the number may be too good where
emitters blink often; it is not corrected for (the paper's Q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Floats, Indices, row_blocks
from smlmfmt.measures.sample import Field, Positions, densest
from smlmfmt.measures.split import SEED, Split

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = ["Resolution", "fourier_ring_resolution"]

SIZE_PX = 2048
ZOOMS_MAX = 5
PIXELS_MIN = 3.5  # Pixels to one resolution: well within what the pixels can show.
ROWS_MIN = 500
THRESHOLD = 1 / 7
TUKEY_PART = 0.25  # Of the side, both edges together, over which the window rises to 1.
SMOOTHED_PART = 0.05  # Of a frequency, to each side, over which the curve is averaged.
RING_FIRST = 3  # Below, rings hold the outline of the field, in a handful of values each.
RING_MIN = 8  # A crossing before it says that the halves agree on nothing.

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The resolution in nm, and how it was found.

    Attributes:
        resolution_nm: 1 / q where the curve first falls below 1/7.
        pixel_nm: Side of a pixel.
        field_nm: Side of the square that was looked at.
        rows: Localizations in it.
        split: What was dealt to the halves: "frames" (runs of frames) or "rows".
        seed: Of the dealing.
    """

    resolution_nm: float
    pixel_nm: float
    field_nm: float
    rows: int
    split: str
    seed: int


def fourier_ring_resolution(
    table: LocTable, positions: Positions, field: Field, *, precision_nm: float | None
) -> Resolution | None:
    """Return the resolution, or None if the halves never agree, or agree at all frequencies.

    Args:
        table: With x and y in nm.
        positions: A sample of it.
        field: Where the sample lies.
        precision_nm: Where known, saves looking with pixels that will prove too large.
    """
    split = Split(positions.frame)
    zoom = 0
    if precision_nm is not None:
        # The resolution is seldom under four times the precision.
        while field.side_nm / SIZE_PX / 2**zoom > precision_nm and zoom < ZOOMS_MAX:
            zoom += 1
    while zoom <= ZOOMS_MAX:
        square = densest(field, positions, side_nm=field.side_nm / 2**zoom)
        images = _count(table, square, split)
        rows = int(images.sum())
        if rows < ROWS_MIN:
            return None
        crossing = _crossing(*ring_correlation(images[0], images[1]))
        if crossing is None:
            return None
        if crossing * PIXELS_MIN <= SIZE_PX:
            return Resolution(
                resolution_nm=square.side_nm / crossing,
                pixel_nm=square.side_nm / SIZE_PX,
                field_nm=square.side_nm,
                rows=rows,
                split="frames" if split.by_frames else "rows",
                seed=SEED,
            )
        zoom += 1
    return None


def _count(table: LocTable, square: Field, split: Split) -> Image:
    """Return how many localizations each pixel holds, shape (2, SIZE_PX, SIZE_PX), by half."""
    counts = np.zeros(2 * SIZE_PX * SIZE_PX, np.float32)
    for block in row_blocks(len(table)):
        inside, index = _pixels(table["x"][block], table["y"][block], square)
        if index.size:
            index += split.halves_of(table, block)[inside] * (SIZE_PX * SIZE_PX)
            np.add.at(counts, index, np.ones(index.size, np.float32))
    return counts.reshape(2, SIZE_PX, SIZE_PX)


def _pixels(
    x: npt.NDArray[np.generic], y: npt.NDArray[np.generic], square: Field
) -> tuple[Indices, Indices]:
    """Return which rows are in the square, and their flat pixel index."""
    scale = SIZE_PX / square.side_nm
    with np.errstate(invalid="ignore", over="ignore"):
        column = (x.astype(np.float64) - square.x_nm) * scale
        row = (y.astype(np.float64) - square.y_nm) * scale
    # Comparisons with NaN are false.
    inside = (column >= 0) & (column < SIZE_PX) & (row >= 0) & (row < SIZE_PX)
    rows = np.flatnonzero(inside)
    index = row[rows].astype(np.intp) * SIZE_PX + column[rows].astype(np.intp)
    return rows, index


def ring_correlation(first: Image, second: Image) -> tuple[Floats, Floats]:
    """Return the correlation at each ring (0 is the mean) of two square images, and ring sizes.

    The images, shape (n, n), n even, are multiplied by Tukey's window; rings are one step of
    frequency wide, from 0 to n / 2 - 1 periods per side.
    """
    size = first.shape[0]
    window = _tukey(size)
    taper = np.outer(window, window).astype(np.float32)
    # Without its mean an even field is no agreement of the halves.
    one, two = (np.fft.rfft2((image - np.average(image)) * taper) for image in (first, second))
    along = np.fft.fftfreq(size, 1 / size)
    across = np.arange(size // 2 + 1)
    rings = np.rint(np.hypot(along[:, None], across[None, :])).astype(np.intp).ravel()
    # Half of the plane stands for all of it: what is not on its edge counts twice.
    twice = np.full(across.size, 2.0, np.float32)
    twice[[0, -1]] = 1.0

    def ring_sums(values: npt.NDArray[np.floating]) -> Floats:
        sums = np.bincount(rings, (values * twice).ravel(), minlength=size)
        return np.asarray(sums[: size // 2])

    cross = ring_sums((one * np.conj(two)).real)
    norms = [ring_sums(np.square(part.real) + np.square(part.imag)) for part in (one, two)]
    scale = np.sqrt(norms[0] * norms[1])
    curve = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    return curve, ring_sums(np.ones((along.size, across.size), np.float32))


def _tukey(size: int) -> Floats:
    """Return a window of 1 that falls to 0 as a cosine over the outer eighth at each end."""
    place = (np.arange(size) + 0.5) / size
    edge = np.minimum(place, 1 - place) / (TUKEY_PART / 2)
    return np.asarray((1 - np.cos(np.pi * np.minimum(edge, 1))) / 2)


def _crossing(curve: Floats, sizes: Floats) -> float | None:
    """Return where, in periods per side, the smoothed curve first falls below the threshold."""
    smooth = _smoothed(curve, sizes)
    above = smooth >= THRESHOLD
    below = np.flatnonzero(~above[RING_FIRST:])
    if not below.size:
        return float(curve.size) * 2  # Beyond what the pixels show.
    ring = int(below[0]) + RING_FIRST
    if ring < RING_MIN:
        return None
    drop = smooth[ring - 1] - smooth[ring]
    return float(ring - 1 + (smooth[ring - 1] - THRESHOLD) / drop)


def _smoothed(curve: Floats, sizes: Floats) -> Floats:
    """Return averages over rings from (1 - SMOOTHED_PART) to (1 + SMOOTHED_PART) times each."""
    ring = np.arange(curve.size)
    reach = np.minimum(np.ceil(ring * SMOOTHED_PART), curve.size - 1 - ring).astype(np.intp)
    sums = np.concatenate([[0.0], np.cumsum(curve * sizes)])
    weights = np.concatenate([[0.0], np.cumsum(sizes)])
    low, high = ring - reach, ring + reach + 1
    return np.asarray((sums[high] - sums[low]) / (weights[high] - weights[low]))
