"""A structure in a few numbers that do not change with the density of localizations.

What is compared is the *local dimension* of the point pattern at each scale r,

    D(r) = d log K(r) / d log r,  K(r) = pairs of localizations closer than r (Ripley)

which is 1 along filaments, 2 in an even plane or within patches, near 0 between the size of
clusters and their distance. Leaving out localizations at random scales all of K by one factor and
does not move D at all, on average: the signature needs no thinning to a common density, which
nano-org's histograms do (Shirgill et al., bioRxiv 2024).

Pairs are counted on a grid, by Fourier transform, between two halves of the movie (`split`), so
that an emitter that shines on is no pair with itself. They are corrected for the edge of the field
(the set covariance of a rectangle). Where the table has no frames, halves are drawn by row.

Compare by the Euclidean distance of two signatures of one version. As a text it is
`version:hex`, two digits per value, D = byte / 64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Floats
from smlmfmt.measures.sample import Field, Positions, densest
from smlmfmt.measures.split import Split, drawn_halves

__all__ = ["Signature", "structure_signature"]

VERSION = 1
PIXEL_NM = 12.0
SIZE_PX = 2048
RADII_NM = 36.0 * 1.22 ** np.arange(20)  # To 1.6 um; between each and the next lies one value.
ROWS_MIN = 400
NOISE_MAX = 0.7  # Root of the summed variances: the distance that chance alone makes.
SIDE_MIN_NM = 3_000.0
STEPS = 64.0  # Of one byte to one dimension.
SIZE_MAX = 64


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature's version and its values, each a dimension from 0 to 3.98 in steps of 1/64."""

    version: int
    values: tuple[float, ...]

    @classmethod
    def from_text(cls, text: str) -> Signature:
        """Read `version:hex`.

        Raises:
            ValueError: The text is no signature.
        """
        version, colon, digits = text.partition(":")
        data = bytes.fromhex(digits)
        is_number = version.isascii() and version.isdigit()
        if not (colon and is_number and 0 < len(data) <= SIZE_MAX):
            raise ValueError(f"a signature is version:hex, got {text[:80]!r}")
        return cls(int(version), tuple(byte / STEPS for byte in data))

    def __str__(self) -> str:
        data = bytes(round(min(max(value * STEPS, 0), 255)) for value in self.values)
        return f"{self.version}:{data.hex()}"

    def distance(self, other: Signature) -> float | None:
        """Return the Euclidean distance, or None if the versions do not compare."""
        if self.version != other.version or len(self.values) != len(other.values):
            return None
        return math.dist(self.values, other.values)


def structure_signature(positions: Positions, field: Field) -> Signature | None:
    """Return the signature of the densest part of the field, up to 23 um wide.

    None where the field is under 3 um, or holds too few localizations or pairs to tell.
    """
    reach_px = math.ceil(RADII_NM[-1] / PIXEL_NM) + 1
    # An empty rim as wide as the greatest distance: pairs do not meet around the edges.
    side = min(field.side_nm, (SIZE_PX - reach_px) * PIXEL_NM)
    if field.side_nm < SIDE_MIN_NM:
        return None
    square = densest(field, positions, side_nm=side)
    column, row = ((positions.x - square.x_nm) / PIXEL_NM, (positions.y - square.y_nm) / PIXEL_NM)
    limit = side / PIXEL_NM
    inside = (column >= 0) & (column < limit) & (row >= 0) & (row < limit)
    column, row = column[inside], row[inside]
    if column.size < ROWS_MIN:
        return None
    split = Split(positions.frame)
    if split.by_frames and positions.frame is not None:
        halves = split.halves(positions.frame[inside])
    else:
        halves = drawn_halves(column.size, seed=0)
    pairs = _pairs(column, row, halves, reach_px=reach_px)
    spans = [float(np.ptp(values)) * PIXEL_NM for values in (column, row)]
    if min(spans) < SIDE_MIN_NM / 2:
        return None
    return _signature(pairs, spans)


def _pairs(column: Floats, row: Floats, halves: npt.NDArray[np.intp], *, reach_px: int) -> Floats:
    """Return the pairs across the halves by distance, in a square around distance 0."""
    index = row.astype(np.intp) * SIZE_PX + column.astype(np.intp)
    spectra = []
    for half in (0, 1):
        counts = np.bincount(index[halves == half], minlength=SIZE_PX * SIZE_PX)
        # float64: next to a bead of 10^5 localizations float32 would make pairs out of nothing.
        spectra.append(np.fft.rfft2(counts.astype(np.float64).reshape(SIZE_PX, SIZE_PX)))
    pairs = np.fft.irfft2(np.conj(spectra[0]) * spectra[1], s=(SIZE_PX, SIZE_PX))
    kept = np.arange(-reach_px, reach_px + 1)
    return np.asarray(np.maximum(np.rint(pairs[kept[:, None], kept[None, :]]), 0))


def _signature(pairs: Floats, spans: list[float]) -> Signature | None:
    """Return the slopes of log K between the radii."""
    steps = np.arange(pairs.shape[0]) - pairs.shape[0] // 2
    distance = np.hypot(steps[:, None], steps[None, :]) * PIXEL_NM
    width, height = spans
    # The part of the field that still lies in it when moved by r in any direction.
    held = width * height - 2 * distance / np.pi * (width + height) + np.square(distance) / np.pi
    weighted = pairs / np.maximum(held, width * height * 0.1) * (width * height)
    shell = np.searchsorted(RADII_NM, distance.ravel(), side="right")

    def closer(values: Floats) -> Floats:
        sums = np.bincount(shell, values.ravel(), minlength=RADII_NM.size + 1)
        return np.asarray(np.cumsum(sums[: RADII_NM.size]))

    counted = closer(pairs)
    if counted[0] < 1:
        return None
    # Pixels fill a circle only nearly; an even plane is given 2 exactly.
    steps_even = np.diff(np.log(closer(np.ones_like(pairs)))) / 2
    # What the slopes would scatter by if pairs were drawn one by one.
    variance = (1 / counted[:-1] - 1 / counted[1:]) / np.square(steps_even)
    if variance.sum() > NOISE_MAX**2:
        return None
    slopes = np.diff(np.log(closer(weighted))) / steps_even
    values = np.rint(np.clip(slopes * STEPS, 0, 255)) / STEPS
    return Signature(VERSION, tuple(float(value) for value in values))
