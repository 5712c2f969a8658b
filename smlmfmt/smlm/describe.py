"""What we say in a manifest about tables and images we are about to write."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.smlm.images import LAYOUT, THUMBNAIL
from smlmfmt.smlm.manifest import FORMAT_VERSION
from smlmfmt.smlm.rows import Layout
from smlmfmt.smlm.spec import INDEX_KEY
from smlmfmt.smlm.statistics import FLOAT32_WHOLE_MAX, Statistics
from smlmfmt.stream import BundleStream, TableStream, gathered, stream_of
from smlmfmt.table import Bundle, Image, LocTable

__all__ = [
    "ExactnessWarning",
    "Part",
    "complete",
    "image_members",
    "manifest_bytes",
    "manifest_of",
    "parts_of",
]

LENGTHS = ("x", "y", "z")
# What a writer decides; everything else a manifest says about its data is kept.
_OURS = frozenset(("format_version", "formats", "files", "hash", "thumbnail"))
_OURS_IN_ENTRY = frozenset(
    ("name", "type", "format", "channel", "rows", "offset", "min", "max", "avg", "hash", INDEX_KEY)
)
# Where a picture lies (offset) and what it holds (min, max) stay with it.
_OURS_IN_IMAGE = frozenset(("name", "type", "format", "channel", "hash", LAYOUT))
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}
_NO_HASH = "0" * 32
# No number is longer in JSON: room for one that is not known yet.
_WIDEST = -2.2250738585072014e-308


class ExactnessWarning(UserWarning):
    """What is written cannot be exact for everyone, or cannot be read by everyone."""


@dataclass(slots=True, kw_only=True)
class Part:
    """A table about to be written; its entry is complete once all its rows are."""

    stream: TableStream
    member: str
    layout_name: str
    layout: Layout
    headers: list[str]
    statistics: Statistics
    entry: dict[str, Any]


def parts_of(tables: Sequence[TableStream], *, exact: bool) -> list[Part]:
    """Return what is to be written of each table.

    Which type holds a column exactly is known of a whole table only: with `exact`, tables are
    taken into memory.

    Raises:
        HeaderError: A table has no x or no y, or two of its columns have the same header.
        UnitError: A position is not in nm.
    """
    parts: list[Part] = []
    members: set[str] = {"manifest.json"}
    for index, given in enumerate(tables):
        stream = _in_memory(given) if exact else given
        table = stream.head if stream.whole is None else stream.whole
        headers = _headers(table)
        dtypes = [_dtype(table[name], exact=exact) for name in table.columns]
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", table.name).strip("._")
        stem = stem.rpartition(".")[0] or stem or f"table-{index}"
        parts.append(
            Part(
                stream=stream,
                member=_unique(stem, ".bin", members),
                layout_name=f"smlm-table(binary)-{index}",
                layout=Layout(dtypes, [1] * len(dtypes)),
                headers=headers,
                statistics=Statistics(headers),
                entry={},
            )
        )
    if exact and any(dtype != np.dtype("<f4") for part in parts for dtype in part.layout.dtypes):
        warnings.warn(
            "exact types written: the ShareLoc app and shareloc-utils refuse such a file",
            ExactnessWarning,
            stacklevel=6,
        )
    return parts


def complete(part: Part, *, digest: str, segments: dict[str, Any]) -> None:
    """Put into a part's entry what is known once its rows are written."""
    part.entry.update(part.statistics.by_header())
    part.entry.update(rows=part.statistics.rows, hash=digest)
    part.entry[INDEX_KEY] = segments
    if all(dtype == np.dtype("<f4") for dtype in part.layout.dtypes):
        _warn_if_inexact(part)


def _in_memory(stream: TableStream) -> TableStream:
    if stream.whole is not None:
        return stream
    return stream_of(Bundle(tables=(gathered(stream),))).tables[0]


def _headers(table: LocTable) -> list[str]:
    headers = [
        re.sub(r"[^A-Za-z0-9]+", "_", name).lstrip("_") or "column" for name in table.columns
    ]
    if not {"x", "y"} <= set(headers) or len(set(headers)) != len(headers):
        raise HeaderError(
            f"table {table.name!r}: .smlm needs columns x and y, and each name once; got {headers}"
        )
    for name in LENGTHS:
        if name in table and table.units[name] not in ("nm", ""):
            raise UnitError(
                f"table {table.name!r}: column {name!r} must be in nm, not {table.units[name]!r}"
            )
    return headers


def _dtype(values: npt.NDArray[Any], *, exact: bool) -> np.dtype[Any]:
    plain = np.dtype("<f4")
    if not exact:
        return plain
    if values.dtype.kind == "f":
        return np.dtype("<f8") if values.dtype.itemsize == 8 else plain
    return _whole_dtype(values)


def _whole_dtype(values: npt.NDArray[Any]) -> np.dtype[Any]:
    # The specification allows unsigned whole numbers of up to 32 bits only.
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if low >= 0:
        for code in ("u1", "<u2", "<u4"):
            if high <= np.iinfo(code).max and values.dtype.itemsize <= np.dtype(code).itemsize:
                return np.dtype(code)
        if high <= np.iinfo("<u4").max:
            return np.dtype("<u4")
    return np.dtype("<f8")


def _warn_if_inexact(part: Part) -> None:
    head = part.stream.head
    beyond = part.statistics.uncountable
    for name, header in zip(head.columns, part.headers, strict=True):
        is_counted = head[name].dtype.kind in "iu" or name in ("frame", "id")
        if is_counted and header in beyond:
            warnings.warn(
                f"table {head.name!r}: {name} goes beyond {FLOAT32_WHOLE_MAX}, which float32"
                " cannot count exactly; exact=True keeps it, for fewer readers",
                ExactnessWarning,
                stacklevel=8,
            )


def image_members(images: Sequence[Image], *, taken: Collection[str]) -> list[tuple[str, Image]]:
    """Return a member name for each image."""
    members = {"manifest.json", *taken}
    named = []
    for image in images:
        suffix = _SUFFIXES.get(image.media_type, ".raw")
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", image.name.removesuffix(suffix)).strip("._")
        named.append((_unique(stem or "image", suffix, members), image))
    return named


def manifest_of(
    bundle: BundleStream, parts: Sequence[Part], images: Sequence[tuple[str, Image]]
) -> dict[str, Any]:
    """Return the manifest, which shares the parts' entries.

    What is not known before the rows are read stands in it with the longest value there can be.
    """
    formats = {part.layout_name: _layout_object(part) for part in parts}
    files: list[dict[str, Any]] = []
    for part in parts:
        part.entry.update(_table_entry(part))
        files.append(part.entry)
    kept = {key: value for key, value in bundle.manifest.items() if key not in _OURS}
    manifest = {
        "format_version": FORMAT_VERSION,
        "formats": formats,
        "files": files,
        "name": "",
        "description": "",
        "tags": [],
        "sample": "",
        "labeling": "",
        **kept,
        "hash": _NO_HASH,
    }
    for member, image in images:
        if image.name == THUMBNAIL and "thumbnail" not in manifest:
            manifest["thumbnail"] = member
            continue
        key, layout = _image_layout(image, len(formats))
        formats[key] = layout
        files.append(_image_entry(member, image, key))
    return manifest


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """Return the manifest as JSON.

    Raises:
        HeaderError: It holds something that JSON cannot say.
    """
    try:
        return json.dumps(manifest, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise HeaderError(f"the manifest to be written is not plain JSON: {error}") from error


def _layout_object(part: Part) -> dict[str, Any]:
    head = part.stream.head
    units = [head.units[name] for name in head.columns]
    lengths = [name in LENGTHS for name in head.columns]
    return {
        "name": part.layout_name,
        "type": "table",
        "mode": "binary",
        "extension": ".bin",
        "columns": len(part.headers),
        "headers": part.headers,
        "dtype": [dtype.name for dtype in part.layout.dtypes],
        "shape": [1] * len(part.headers),
        "units": [
            "nm" if is_length else unit for is_length, unit in zip(lengths, units, strict=True)
        ],
        "description": "localization table, rows interleaved, little-endian",
    }


def _table_entry(part: Part) -> dict[str, Any]:
    table = part.stream.head
    kept = {"metadata": dict(table.metadata)}
    if table.format == "smlm":
        kept = {key: value for key, value in table.metadata.items() if key not in _OURS_IN_ENTRY}
    origin = {} if table.frame_origin is None else {"frame_origin": table.frame_origin}
    return {
        "metadata": {},
        "exposure": -1,
        "tags": [],
        **kept,
        **origin,
        "name": part.member,
        "type": "table",
        "format": part.layout_name,
        "channel": table.channel or "default",
        "rows": part.stream.rows_max,
        "offset": {"x": 0, "y": 0},
        **{key: dict.fromkeys(part.headers, _WIDEST) for key in ("min", "max", "avg")},
        "hash": _NO_HASH,
    }


def _image_layout(image: Image, count: int) -> tuple[str, dict[str, Any]]:
    suffix = _SUFFIXES.get(image.media_type)
    if suffix:
        key = suffix[1:]
        return key, {"name": key, "type": "image", "mode": "binary", "extension": suffix}
    key = f"smlm-image(binary)-{count}"
    given = image.metadata.get(LAYOUT)
    return key, {
        "name": key,
        "type": "image",
        "mode": "binary",
        "extension": ".raw",
        "dtype": image.dtype or "uint8",
        "shape": list(image.shape or (len(image.data),)),
        "offset": 0,
        **(given if isinstance(given, dict) else {}),
    }


def _image_entry(member: str, image: Image, key: str) -> dict[str, Any]:
    kept = {name: value for name, value in image.metadata.items() if name not in _OURS_IN_IMAGE}
    size = {"size": list(image.shape)} if image.shape and key in ("png", "jpg") else {}
    return {
        "tags": [],
        "offset": {"x": 0, "y": 0},
        **kept,
        **size,
        "name": member,
        "type": "image",
        "format": key,
        "channel": image.channel or "default",
        "hash": hashlib.md5(image.data, usedforsecurity=False).hexdigest(),
    }


def _unique(stem: str, suffix: str, taken: set[str]) -> str:
    name, number = stem + suffix, 2
    while name in taken:
        name, number = f"{stem}-{number}{suffix}", number + 1
    taken.add(name)
    return name
