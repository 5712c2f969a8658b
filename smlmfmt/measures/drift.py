"""How far the sample drifted, by redundant cross-correlation of runs of frames.

The movie is cut into RUNS runs of equally many localizations. Each pair of runs gives one shift:
where the cross-correlation of their images is highest. With all pairs measured, each run's place
is the median of what the others say of it, so that single false peaks do no harm (after Wang et
al., Opt. Express 22, 15982 (2014), who solve the same equations by least squares).

    drift = sqrt(max(0, D^2 - E)),  D^2 = mean |place - mean place|^2,  E = mean variance of a place

in two dimensions. E is what D^2 would be without any drift: the field is cut into TILES x TILES
tiles that hold different emitters but drift as one, and the places are measured again without
each of them (Quenouille and Tukey's jackknife). sqrt(E) is given as the uncertainty; a drift under
twice of it cannot be told from none. Motion within one run is not seen.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Floats
from smlmfmt.measures.sample import Field, Positions, densest
from smlmfmt.measures.split import time_edges

__all__ = ["Drift", "remaining_drift"]

RUNS = 10
PAIRS = tuple(itertools.combinations(range(RUNS), 2))
TILES = 4
TILE_PX = 256
ROWS_MIN = 200  # Of a run.
SIDE_MIN_NM = 500.0
PIXEL_MAX_NM = 40.0
PIXEL_MIN_NM = 2.0
BLUR_NM = 20.0
BLUR_MIN_PX = 1.2
REACH_NM = 1000.0
REACH_PX = 60
PEAK_ERROR_PX = 0.03  # Of finding a peak between pixels.

Maps = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Root mean square distance from the mean place in nm, and what it would be without drift."""

    drift_nm: float
    uncertainty_nm: float


def remaining_drift(positions: Positions, field: Field) -> Drift | None:
    """Return the drift of a sample of localizations.

    None without frames, in a field under 500 nm, with under ROWS_MIN localizations in a run, or
    where runs look so little alike, or lie so far apart, that no peak is found within reach.
    """
    if positions.frame is None or field.side_nm < SIDE_MIN_NM:
        return None
    edges = time_edges(positions.frame, RUNS)
    if edges is None:
        return None
    side = min(field.side_nm, TILES * TILE_PX * PIXEL_MAX_NM)
    pixel = max(side / (TILES * TILE_PX), PIXEL_MIN_NM)
    images = _count(positions, edges, densest(field, positions, side_nm=side), pixel_nm=pixel)
    if images.sum(axis=(1, 2, 3)).min() < ROWS_MIN:
        return None
    measured = _moved(_correlations(images, pixel))
    if measured is None:
        return None
    moved, noise = measured
    return Drift(
        drift_nm=math.sqrt(max(0.0, moved - noise)) * pixel,
        uncertainty_nm=math.sqrt(noise) * pixel,
    )


def _moved(maps: Maps) -> tuple[float, float] | None:
    """Return D^2 and E in square pixels, or None if a pair has no peak within reach."""
    whole = maps.sum(axis=0)
    filled = np.flatnonzero(maps.any(axis=(1, 2, 3)))
    found = [_places(whole), *(_places(whole - maps[tile]) for tile in filled)]
    known = [places for places in found if places is not None]
    if len(known) < len(found) or filled.size < 2:
        return None
    places, without = known[0], np.stack(known[1:])
    spread = np.square(without - without.mean(axis=0)).sum(axis=0)
    variance = (filled.size - 1) / filled.size * float(spread.sum(axis=1).mean())
    moved = float(np.square(places - places.mean(axis=0)).sum(axis=1).mean())
    return moved, variance + 2 * PEAK_ERROR_PX**2


def _count(positions: Positions, edges: Floats, square: Field, *, pixel_nm: float) -> Maps:
    """Return counts per pixel, shape (RUNS, tiles, TILE_PX, TILE_PX)."""
    assert positions.frame is not None
    size = TILES * TILE_PX
    column = (positions.x - square.x_nm) / pixel_nm
    row = (positions.y - square.y_nm) / pixel_nm
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    inside &= ~np.isnan(positions.frame)
    columns, rows = column[inside].astype(np.intp), row[inside].astype(np.intp)
    run = np.searchsorted(edges, positions.frame[inside], side="right")
    index = run * TILES**2 + rows // TILE_PX * TILES + columns // TILE_PX
    index = (index * TILE_PX + rows % TILE_PX) * TILE_PX + columns % TILE_PX
    counts = np.zeros(RUNS * size**2, np.float32)
    np.add.at(counts, index, np.ones(index.size, np.float32))
    return counts.reshape(RUNS, TILES**2, TILE_PX, TILE_PX)


def _correlations(images: Maps, pixel: float) -> Maps:
    """Return the middles of the correlations of PAIRS: shape (tiles, pairs, side, side).

    They are blurred, so that single pairs of localizations make no peak of their own.
    """
    spectra = [np.fft.rfft2(run - run.mean(axis=(1, 2), keepdims=True)) for run in images]
    sigma_px = max(BLUR_NM / pixel, BLUR_MIN_PX)
    down, across = np.fft.fftfreq(TILE_PX), np.fft.rfftfreq(TILE_PX)
    squares = np.square(down)[:, None] + np.square(across)[None, :]
    blur = np.exp(-2 * np.square(np.pi * sigma_px) * squares).astype(np.float32)
    reach = int(min(REACH_PX, max(4 * sigma_px, REACH_NM / pixel), TILE_PX // 2 - 1))
    kept = np.arange(-reach, reach + 1)
    maps = np.zeros((images.shape[1], len(PAIRS), kept.size, kept.size), np.float32)
    for index, (first, second) in enumerate(PAIRS):
        product = np.conj(spectra[first]) * spectra[second] * blur
        cross = np.fft.irfft2(product, s=(TILE_PX, TILE_PX))
        maps[:, index] = cross[:, kept[:, None], kept[None, :]]
    return maps


def _places(maps: Maps) -> Floats | None:
    """Return each run's place in pixels, shape (RUNS, 2), from the correlations of PAIRS."""
    shifts = np.zeros((RUNS, RUNS, 2))
    for (first, second), image in zip(PAIRS, maps, strict=True):
        peak = _peak(image)
        if peak is None:
            return None
        shifts[first, second] = peak
        shifts[second, first] = -peak
    return np.asarray(np.median(shifts, axis=0))


def _peak(image: Maps) -> Floats | None:
    """Return where the image is highest, from its middle, between pixels; None at its rim."""
    row, column = divmod(int(image.argmax()), image.shape[1])
    last = image.shape[0] - 1
    if not (0 < row < last and 0 < column < last):
        return None
    near = image[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    offsets = []
    for before, middle, after in (near[:, 1], near[1, :]):
        bend = before - 2 * middle + after
        offsets.append(0.5 * (before - after) / bend if bend < 0 else 0.0)
    return np.array([row + offsets[0] - last / 2, column + offsets[1] - last / 2])
