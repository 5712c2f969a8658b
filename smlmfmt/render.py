"""A localization table as a picture: square, on black, with its scale."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.colormaps import DEFAULT, DEPTH
from smlmfmt.colormaps import colormap as named_colormap
from smlmfmt.errors import FormatError, SizeLimitError
from smlmfmt.raster import Bounds, Depth, Floats, View, auto_view, draw, view_of
from smlmfmt.scalebar import GREYS, burn_depth_bar, burn_scale_bar
from smlmfmt.table import LocTable

__all__ = ["COLOR_BY", "MODES", "render"]

Picture: TypeAlias = npt.NDArray[np.uint8]
Mode: TypeAlias = Literal["histogram", "gaussian"]
ColorBy: TypeAlias = Literal["density", "z"]

MODES = ("histogram", "gaussian")
COLOR_BY = ("density", "z")
SIZE_PX_MAX = 8192
LEVELS = 256 - GREYS  # Map and letters fit one palette.
DEPTH_GAMMA = 0.65
DEPTH_SAMPLE_ROWS = 200_000


def render(  # noqa: PLR0913 - what a picture looks like has this many sides.
    table: LocTable,
    *,
    size_px: int = 512,
    mode: str = "histogram",
    colormap: str = DEFAULT,
    color_by: str = "density",
    scale_bar: bool = True,
    bounds: Bounds | None = None,
    percentile: float = 98.0,
) -> Picture:
    """Return the table as a picture, shape (size_px, size_px, 3).

    x grows to the right and y downwards, as on the camera. A table without any position in view
    gives a black picture.

    Args:
        table: Columns x and y in nm are needed; z and uncertainties are used if there.
        size_px: The picture's side.
        mode: "histogram" counts localizations per pixel; "gaussian" draws each as wide as its
            lateral uncertainty.
        colormap: One of colormaps.COLORMAPS; of no effect when coloured by z.
        color_by: "density", or "z": then hue is z and brightness is density. A table without two
            different z is coloured by density.
        scale_bar: Burn in a bar of round length with its label, and the colours of z.
        bounds: ((x_min, x_max), (y_min, y_max)) in nm; shown is the smallest square around them.
            None shows everything but far strays.
        percentile: The full colour is reached at this percentile of the occupied pixels.

    Raises:
        HeaderError: The table has no x or no y.
        FormatError: A mode, colour map or number is not one of those above, or a bound is not
            finite or above its partner.
        SizeLimitError: size_px is not within 1 to 8192.
    """
    _check(size_px=size_px, mode=mode, color_by=color_by, percentile=percentile)
    lut = named_colormap(colormap, levels=LEVELS)
    view = auto_view(table, size_px)
    if view is None:
        return np.zeros((size_px, size_px, 3), np.uint8)
    if bounds is not None:
        view = view_of(bounds, size_px)
    depth = _depth(table, view) if color_by == "z" else None
    images = draw(table, view, gaussian=mode == "gaussian", depth=depth)
    part = _tone(images[0], percentile)
    picture = lut[np.rint(part * (LEVELS - 1)).astype(np.intp)]
    if depth is not None:
        picture = _tinted(images, part)
    if scale_bar:
        burn_scale_bar(picture, view.side_nm)
    if scale_bar and depth is not None:
        burn_depth_bar(picture, DEPTH, z_min_nm=depth.z_min_nm, z_max_nm=depth.z_max_nm)
    return picture


def _check(*, size_px: int, mode: str, color_by: str, percentile: float) -> None:
    if not 1 <= size_px <= SIZE_PX_MAX:
        raise SizeLimitError(f"a picture's side is 1 to {SIZE_PX_MAX} pixels, got {size_px}")
    if mode not in MODES:
        raise FormatError(f"no mode {mode!r}; there are {', '.join(MODES)}")
    if color_by not in COLOR_BY:
        raise FormatError(f"cannot colour by {color_by!r}; there are {', '.join(COLOR_BY)}")
    if not 0 < percentile <= 100:
        raise FormatError(f"percentile is above 0 and at most 100, got {percentile}")


def _tone(density: Floats, percentile: float) -> Floats:
    """Return 0 to 1 per pixel, 1 from this percentile of the occupied pixels on."""
    occupied = density[density > 0]
    if not occupied.size:
        return density
    # A gaussian's far tail occupies nothing: pixels under a tenth of the mean are not counted.
    occupied = occupied[occupied >= 0.1 * occupied.mean()]
    full = float(np.percentile(occupied, percentile))
    return np.clip(density / full, 0, 1)


def _tinted(images: Floats, part: Floats) -> Picture:
    """Return the mean colour of z at each pixel, as bright as its density."""
    density = np.where(images[0] > 0, images[0], 1)
    hue = images[1:] / density
    # Colours are darker than the white that a density map ends in: lift them to be seen.
    part = part**DEPTH_GAMMA
    return np.ascontiguousarray(
        np.rint(255 * np.clip(hue * part, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    )


def _depth(table: LocTable, view: View) -> Depth | None:
    """Return colours over the central 98 % of z in view, or None if z says nothing."""
    if "z" not in table:
        return None
    step = max(1, len(table) // DEPTH_SAMPLE_ROWS)
    z = table["z"][::step].astype(np.float64)
    z = z[(view.pixels(table["x"][::step], table["y"][::step]) >= 0) & np.isfinite(z)]
    if not z.size or not np.ptp(z) > 0:
        return None
    low, high = np.quantile(z, [0.01, 0.99])
    return Depth(z_min_nm=float(low), z_max_nm=float(high), lut=DEPTH)
