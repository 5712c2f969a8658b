"""A scale bar of round length, and a colour bar for depth, burned into a picture.

Nothing is blended with the picture: letters are greys on a black edge, so that a picture of few
colours stays one.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

__all__ = ["GREYS", "burn_depth_bar", "burn_scale_bar", "format_length", "round_length_nm"]

Picture: TypeAlias = npt.NDArray[np.uint8]
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box: TypeAlias = tuple[float, float, float, float]

GREYS = 16  # Colours that letters may add to a picture.
MICRO = "\N{MICRO SIGN}"
BAR_PART = 0.25  # A bar is at most this part of the picture's side.
LABEL_SIZE_MIN_PX = 64  # Smaller pictures get no bar: its label would not be legible.


def round_length_nm(side_nm: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is within a quarter of the side."""
    longest = side_nm * BAR_PART
    power = 10.0 ** math.floor(math.log10(longest))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= longest * (1 + 1e-9))


def format_length(length_nm: float) -> str:
    """Return a length as people read it: 200 nm, 5 um (with the Greek letter), 1 mm."""
    for unit, size_nm in (("mm", 1e6), (f"{MICRO}m", 1e3)):
        if length_nm >= size_nm:
            return f"{length_nm / size_nm:g} {unit}"
    return f"{length_nm:g} nm"


def burn_scale_bar(picture: Picture, side_nm: float) -> None:
    """Draw a bar and its length at bottom left, in place; not if the picture is tiny."""
    size = len(picture)
    if size < LABEL_SIZE_MIN_PX or not 0 < side_nm < math.inf:
        return
    length_nm = round_length_nm(side_nm)
    width = max(1, round(size * length_nm / side_nm))
    margin, thick = _margin(size), _thickness(size)
    left, top = margin, size - margin - thick
    picture[top - 1 : top + thick + 1, left - 1 : left + width + 1] = 0
    picture[top : top + thick, left : left + width] = 255
    _write(picture, format_length(length_nm), center=left + width / 2, bottom=top - thick)


def burn_depth_bar(picture: Picture, lut: Picture, *, z_min_nm: float, z_max_nm: float) -> None:
    """Draw the colours of z and its limits at bottom right, in place; not if it is tiny."""
    size = len(picture)
    if size < 2 * LABEL_SIZE_MIN_PX:
        return
    width, margin, thick = round(size * BAR_PART * 1.2), _margin(size), _thickness(size)
    left, top = size - margin - width, size - margin - thick
    picture[top - 1 : top + thick + 1, left - 1 : left + width + 1] = 0
    levels = np.linspace(0, len(lut) - 1, width).astype(np.intp)
    picture[top : top + thick, left : left + width] = lut[levels]
    label = f"z {round(z_min_nm)} to {round(z_max_nm)} nm"
    _write(picture, label, center=left + width / 2, bottom=top - thick)


def _margin(size_px: int) -> int:
    return max(4, size_px // 24)


def _thickness(size_px: int) -> int:
    return max(2, round(size_px / 85))


def _write(picture: Picture, text: str, *, center: float, bottom: float) -> None:
    """Write white letters with a black edge, their foot at bottom, kept within the picture."""
    size = len(picture)
    font = ImageFont.load_default(max(10, round(size / 20)))
    edge = max(1, size // 256)
    # As tall as a descender for every text, so that all labels of a picture stand on one line.
    left, top, right, _ = font.getbbox(text.replace(MICRO, "u") + "l", stroke_width=edge)
    box = (left, top, right - font.getlength("l"), font.getbbox("p", stroke_width=edge)[3])
    letters, ground = (_mask(text, font, box=box, edge=width) for width in (0, edge))
    height, width = letters.shape
    x = round(min(max(center - width / 2, 1), size - width - 1))
    target = picture[(y := round(bottom - height)) : y + height, x : x + width]
    step = 255 // (GREYS - 1)
    greys = (letters.astype(np.intp) + step // 2) // step * step
    covered = (ground >= 128) | (greys > 0)
    target[covered] = greys[covered][:, None]


def _mask(text: str, font: Font, *, box: Box, edge: int) -> Picture:
    """Return how far each pixel of the box is covered by the text, of 0 to 255."""
    left, top, right, foot = box
    image = Image.new("L", (math.ceil(right - left), math.ceil(foot - top)))
    draw = ImageDraw.Draw(image)
    draw.text((-left, -top), text.replace(MICRO, "u"), fill=255, font=font, stroke_width=edge)
    if MICRO in text:
        # Pillow's own font has no micro sign: give a u the long left stem that makes it one.
        before, _, _ = text.partition(MICRO)
        stem = max(1, round(font.getbbox("n")[2] / 8))
        x = round(font.getlength(before) - left) + stem
        baseline, descent = font.getbbox("u")[3] - top, font.getbbox("p")[3] - top
        draw.rectangle((x - edge, baseline - 2, x + stem - 1 + edge, descent + edge), fill=255)
    return np.asarray(image)
