"""Colour maps for density and for depth: perceptually even and safe for colour-blind eyes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError

__all__ = ["COLORMAPS", "DEFAULT", "DEPTH", "Lut", "colormap", "lightness"]

Lut: TypeAlias = npt.NDArray[np.uint8]

# Waypoints from black to the brightest colour. Where the colours lie on the scale is not written
# here: every map is spaced so that CIE lightness rises in equal steps, so that an equal ratio of
# densities looks equal, in grey print too. None passes through both red and green.
_WAYPOINTS = {
    "gray": ("000000", "ffffff"),
    "fire": ("000000", "3b0f4f", "8c1a5a", "d23a3a", "f5781e", "fcbf3c", "fff6c8", "ffffff"),
    "inferno": ("000000", "1b0c41", "4a0c6b", "a52c60", "ed6925", "fb9b06", "f7d13d", "fcffa4"),
    "ice": ("000000", "10224f", "164a9e", "1c7fd0", "35b4e6", "8fdcf2", "e6f8ff", "ffffff"),
    "viridis": ("000000", "3a0a5a", "3e4989", "26828e", "35b779", "b5de2b", "fde725"),
    "cividis": ("000000", "00224e", "434e6c", "7d7c78", "bcae6c", "fee838"),
}
COLORMAPS = tuple(_WAYPOINTS)
DEFAULT = "fire"
# Deep to high, for z: only the hue changes, for brightness is the density. Blue fades steadily
# from one end to the other, which is what red-green blindness leaves distinguishable.
_DEPTH = ("2f7dff", "8f6bff", "f04fb0", "ff7a33", "ffd42e")
_FINE = 4096


def colormap(name: str, *, levels: int = 256) -> Lut:
    """Return the map's colours from zero (black) to full, shape (levels, 3).

    Raises:
        FormatError: There is no map of this name.
    """
    try:
        waypoints = _WAYPOINTS[name]
    except KeyError:
        known = ", ".join(COLORMAPS)
        raise FormatError(f"no colour map {name!r}; there are {known}") from None
    fine = _path(waypoints, _FINE)
    steps = lightness(fine)
    even = np.linspace(steps[0], steps[-1], levels)
    return _rounded(np.stack([np.interp(even, steps, fine[:, c]) for c in range(3)], axis=1))


def lightness(colors: npt.NDArray[np.floating | np.uint8]) -> npt.NDArray[np.float64]:
    """Return the CIE 1976 lightness L* (0 to 100) of sRGB colours of 0 to 255, shape (n, 3).

    Source:
        IEC 61966-2-1 (sRGB transfer function); CIE 15:2004, 8.2.1.1.
    """
    part = np.asarray(colors, np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    curve = 116 * np.cbrt(luminance) - 16
    return np.asarray(np.where(luminance > 0.008856, curve, 903.3 * luminance))


def _path(waypoints: tuple[str, ...], levels: int) -> npt.NDArray[np.float64]:
    """Return colours along the waypoints, evenly between them, as float64 of 0 to 255."""
    points = np.array([list(bytes.fromhex(point)) for point in waypoints], np.float64)
    at = np.linspace(0, len(points) - 1, levels)
    return np.stack([np.interp(at, np.arange(len(points)), points[:, c]) for c in range(3)], axis=1)


def _rounded(colors: npt.NDArray[np.float64]) -> Lut:
    lut = np.round(colors).astype(np.uint8)
    lut.setflags(write=False)
    return lut


DEPTH = _rounded(_path(_DEPTH, 256))
