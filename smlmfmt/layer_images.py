"""The pictures of a bundle as napari Image layers, where the file says where they belong."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, SizeLimitError
from smlmfmt.smlm.images import LAYOUT, THUMBNAIL
from smlmfmt.table import Image

__all__ = ["decoded", "image_layers"]

PIXELS_MAX = 1 << 28
CHANNELS = ((), (3,), (4,))  # Grey, or colours that napari shows.
RAW_DTYPES = ("uint8", "uint16", "uint32", "float32", "float64")


def image_layers(
    images: Sequence[Image], *, name: str
) -> tuple[list[tuple[Any, dict[str, Any], str]], list[str]]:
    """Return a layer for each image that can be placed, and why the others cannot.

    An image is placed if its entry gives `pixel_size`, a number of nm (as the ShareLoc app
    writes it); the outer corner of its first pixel is then at the entry's `offset`, else at the
    origin. A thumbnail is a drawing of the table and no image of the sample: it is passed over.
    """
    layers, notes = [], []
    for image in images:
        if image.name == THUMBNAIL:
            continue
        pixel_nm = _number(image.metadata.get("pixel_size"))
        if pixel_nm is None or pixel_nm <= 0:
            notes.append(
                f"{name}: image {image.name!r} is not shown: the file does not say its pixel size"
            )
            continue
        try:
            pixels = decoded(image)
        except FormatError as error:
            notes.append(f"{name}: image {image.name!r} is not shown: {error}")
            continue
        layers.append((pixels, _placed(image, pixels, pixel_nm=pixel_nm, name=name), "image"))
    return layers, notes


def decoded(image: Image) -> npt.NDArray[Any]:
    """Return the pixels, shape (height, width), or (height, width, 3 or 4) in colour.

    Raises:
        FormatError: It cannot be decoded, or its shape and type do not explain its bytes.
        SizeLimitError: It is larger than an image that is shown.
    """
    if image.media_type == "application/octet-stream":
        return _raw(image)
    from PIL import Image as Pictures  # noqa: PLC0415 - only files with images need it.

    try:
        with Pictures.open(io.BytesIO(image.data), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise SizeLimitError(f"{picture.width} x {picture.height} pixels are too many")
            is_plain = picture.mode in {"L", "I", "F", "RGB", "RGBA"} or picture.mode[:2] == "I;"
            mode = "RGBA" if picture.has_transparency_data else "RGB"
            return np.asarray(picture if is_plain else picture.convert(mode))
    except (OSError, SyntaxError, ValueError, Pictures.DecompressionBombError) as error:
        raise FormatError(f"it cannot be decoded: {error}") from error


def _raw(image: Image) -> npt.NDArray[Any]:
    shape = image.shape or ()
    if shape[2:] == (1,):
        shape = shape[:2]
    if image.dtype not in RAW_DTYPES or len(shape) not in (2, 3) or shape[2:] not in CHANNELS:
        raise FormatError(f"a raw array of {image.dtype or 'unknown type'} and shape {shape}")
    layout = image.metadata.get(LAYOUT)
    start = layout.get("offset") if isinstance(layout, Mapping) else None
    data = image.data[start:] if isinstance(start, int) and start > 0 else image.data
    dtype = np.dtype(image.dtype).newbyteorder("<")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise FormatError(f"{len(data)} B are no {image.dtype} of shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape)


def _placed(
    image: Image, pixels: npt.NDArray[Any], *, pixel_nm: float, name: str
) -> dict[str, Any]:
    given = image.metadata.get("offset")
    offset = given if isinstance(given, Mapping) else {}
    # napari places the middle of a pixel, the file its corner.
    corner = [_number(offset.get(axis)) or 0.0 for axis in ("y", "x")]
    return {
        "name": f"{name}: {image.name}",
        "rgb": pixels.ndim == 3,
        "scale": (pixel_nm, pixel_nm),
        "translate": tuple(start + pixel_nm / 2 for start in corner),
        "units": ("nm", "nm"),
        "axis_labels": ("y", "x"),
        "blending": "additive",
        "metadata": {"channel": image.channel, "file_says": dict(image.metadata)},
    }


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
