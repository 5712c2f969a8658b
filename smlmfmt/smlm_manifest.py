"""What a .smlm manifest says, read as tolerantly as its writers are inventive.

Every way in which a manifest leaves the dialect that all known readers accept is put down in
`Manifest.deviations`, with who stumbles over it; what a user should know of goes to `warnings`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smlmfmt.errors import FormatError, HeaderError, SizeLimitError

__all__ = [
    "FORMAT_VERSION",
    "INDEX_KEY",
    "ImageSpec",
    "Manifest",
    "Segments",
    "TableSpec",
    "parse_manifest",
]

FORMAT_VERSION = "0.2"
# Our own key of a file entry: where independent segments of whole rows start.
INDEX_KEY = "segments"

MANIFEST_SIZE_MAX = 16 << 20
MANIFEST_DEPTH_MAX = 32
FILE_COUNT_MAX = 1024
COLUMN_COUNT_MAX = 4096
ROW_COUNT_MAX = 1 << 40

_DTYPES = {
    **{f"{kind}{bits}": f"<{kind[0]}{bits // 8}" for kind in ("int", "uint") for bits in (16, 32)},
    **{"int8": "i1", "uint8": "u1", "int64": "<i8", "uint64": "<u8"},
    **{"float16": "<f2", "float32": "<f4", "float64": "<f8"},
    **{"float": "<f4", "single": "<f4", "double": "<f8", "byte": "u1"},
}
IMAGE_SUFFIXES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Independent segments of a member: rows in each but the last, and compressed sizes."""

    rows: int
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table: where it is and how its bytes are to be read.

    Attributes:
        rows: Number of rows, None if the manifest does not say.
        counts: Elements per row of each column (the product of its shape).
        is_transposed: Whether this is format version 1, whose bytes are transposed.
        text: The format object of a table kept as text, else None.
    """

    member: str
    name: str
    channel: str
    rows: int | None
    headers: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]
    counts: tuple[int, ...]
    units: tuple[str, ...]
    offsets: Mapping[str, float]
    is_transposed: bool
    text: Mapping[str, Any] | None
    segments: Segments | None
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One picture; `shape` and `dtype` only for raw arrays."""

    member: str
    channel: str
    media_type: str
    shape: tuple[int, ...] | None
    dtype: str
    entry: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Manifest:
    """The manifest as plain JSON (no NaN), what it describes, and how it strays."""

    plain: dict[str, Any]
    tables: list[TableSpec] = field(default_factory=list)
    images: list[ImageSpec] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def deviate(self, text: str) -> None:
        """Put down a deviation, once."""
        if text not in self.deviations:
            self.deviations.append(text)


def parse_manifest(data: bytes, *, name: str) -> Manifest:
    """Return what the bytes of a manifest.json say.

    Raises:
        HeaderError: It is not JSON, or does not say how a table is to be read.
        SizeLimitError: It is nested or long beyond what a reader grants.
    """
    manifest = Manifest(plain=_plain_json(data, name))
    version = manifest.plain.get("format_version")
    is_first = _is_one(version)
    if version != FORMAT_VERSION:
        manifest.deviate(
            f"format_version is {version!r}, not '0.2': shareloc-utils and Locan refuse"
        )
    formats = manifest.plain.get("formats")
    if not isinstance(formats, dict):
        formats = {}
    files = manifest.plain.get("files")
    if not isinstance(files, list):
        raise HeaderError(f"{name}: manifest.json: 'files' must be a list of file entries")
    if len(files) > FILE_COUNT_MAX:
        raise SizeLimitError(f"{name}: manifest.json: {len(files)} files, {FILE_COUNT_MAX} allowed")
    for index, entry in enumerate(files):
        where = f"{name}: manifest.json: files[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise HeaderError(f"{where} must be an object with a 'name'")
        _add_file(manifest, entry, formats=formats, is_first=is_first, where=where)
    return manifest


def integer(value: object, *, where: str, high: int = 1 << 53) -> int:
    """Return a count that may have been written as a number or as text.

    Raises:
        HeaderError: It is not a whole number in [0, high].
    """
    number: float | int | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) < 32:
        try:
            number = float(value)
        except ValueError:
            number = None
    if number is None or not math.isfinite(number) or number != int(number):
        raise HeaderError(f"{where} must be a whole number, got {_short(value)}")
    if not 0 <= number <= high:
        raise HeaderError(f"{where} must lie in 0 to {high}, got {_short(value)}")
    return int(number)


def _plain_json(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > MANIFEST_SIZE_MAX:
        raise SizeLimitError(f"{name}: manifest.json: {len(data)} B, {MANIFEST_SIZE_MAX} B allowed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        parsed = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"{name}: manifest.json is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise HeaderError(f"{name}: manifest.json must be a JSON object")
    plain = _plain(parsed, depth=0, name=name)
    assert isinstance(plain, dict)
    return plain


def _plain(value: object, *, depth: int, name: str) -> object:
    """Return a JSON value without infinities and lone surrogates, nested within the limit."""
    if depth > MANIFEST_DEPTH_MAX:
        raise SizeLimitError(f"{name}: manifest.json is nested deeper than {MANIFEST_DEPTH_MAX}")
    if isinstance(value, dict):
        return {
            _plain_text(key): _plain(item, depth=depth + 1, name=name)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_plain(item, depth=depth + 1, name=name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _plain_text(value) if isinstance(value, str) else value


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_one(version: object) -> bool:
    # The ShareLoc app compares with JavaScript's ==, to which 1, "1" and "1.0" are the same.
    return str(version) in ("1", "1.0")


def _add_file(
    manifest: Manifest,
    entry: dict[str, Any],
    *,
    formats: Mapping[str, Any],
    is_first: bool,
    where: str,
) -> None:
    key = entry.get("format")
    found = formats.get(key) if isinstance(key, str) else None
    layout = found if isinstance(found, dict) else {}
    suffix = "." + entry["name"].rpartition(".")[2].lower()
    kind = entry.get("type") or layout.get("type")
    if kind == "image" or (kind != "table" and suffix in IMAGE_SUFFIXES):
        if not manifest.tables:
            manifest.deviate("an image comes before the first table: shareloc-utils fails")
        manifest.images.append(_image(entry, layout, suffix=suffix, where=where))
        return
    if kind not in ("table", None):
        manifest.warnings.append(f"{where}: {entry['name']!r} is a {_short(kind)}; not read")
        return
    if not layout:
        layout = _only_table_format(formats, where=where)
        manifest.deviate(f"{entry['name']}: its format {_short(key)} is not described")
    table = _TableParser(manifest, entry, layout, where=where)
    manifest.tables.append(table.parse(is_first=is_first))


def _only_table_format(formats: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    tables = [
        layout
        for layout in formats.values()
        if isinstance(layout, dict) and layout.get("type", "table") == "table"
    ]
    if len(tables) != 1:
        raise HeaderError(f"{where}: 'format' must name one of 'formats'")
    return tables[0]


def _image(
    entry: Mapping[str, Any], layout: Mapping[str, Any], *, suffix: str, where: str
) -> ImageSpec:
    key = str(entry.get("format", "")).lower()
    media_type = IMAGE_SUFFIXES.get("." + key) or IMAGE_SUFFIXES.get(suffix)
    shape, dtype = None, ""
    if media_type is None:
        media_type = "application/octet-stream"
        sizes = layout.get("shape")
        if isinstance(sizes, list):
            shape = tuple(
                integer(size, where=f"{where}: shape") for size in sizes if size is not None
            )
        dtype = str(layout.get("dtype", "")).lower()
    elif isinstance(entry.get("size"), list):
        shape = tuple(integer(size, where=f"{where}: size") for size in entry["size"])
    return ImageSpec(
        member=entry["name"],
        channel=_text(entry.get("channel")),
        media_type=media_type,
        shape=shape,
        dtype=dtype,
        entry=entry,
    )


class _TableParser:
    """One table's entry and format object, turned into a TableSpec."""

    def __init__(
        self, manifest: Manifest, entry: dict[str, Any], layout: dict[str, Any], *, where: str
    ) -> None:
        self._manifest = manifest
        self._entry = entry
        self._layout = layout
        self._where = where

    def parse(self, *, is_first: bool) -> TableSpec:
        self._note_missing_keys()
        rows = self._entry.get("rows")
        is_text = self._layout.get("mode") == "text"
        headers: tuple[str, ...] = () if is_text else self._headers()
        count = len(headers)
        if is_text:
            self._deviate("a table kept as text: no other reader of it is known")
        return TableSpec(
            member=self._entry["name"],
            name=self._entry["name"],
            channel=_text(self._entry.get("channel")),
            rows=None if rows is None else self._integer("rows", rows, high=ROW_COUNT_MAX),
            headers=headers,
            dtypes=() if is_text else self._dtypes(count),
            counts=() if is_text else self._counts(count),
            units=self._units(headers),
            offsets=self._offsets(headers),
            is_transposed=is_first and not is_text,
            text=self._layout if is_text else None,
            segments=self._segments(),
            entry=self._entry,
        )

    def _deviate(self, text: str) -> None:
        self._manifest.deviate(f"{self._entry['name']}: {text}")

    def _integer(self, key: str, value: object, *, high: int) -> int:
        if isinstance(value, str):
            self._deviate(f"{key} is text, not a number: the Java reader fails")
        return integer(value, where=f"{self._where}: {key}", high=high)

    def _note_missing_keys(self) -> None:
        missing = [key for key in ("type", "mode", "extension") if key not in self._layout]
        missing += [key for key in ("channel", "type", "rows") if key not in self._entry]
        if missing:
            self._deviate(f"no {', '.join(missing)}: readers differ in what they then assume")

    def _headers(self) -> tuple[str, ...]:
        headers = self._layout.get("headers")
        if not isinstance(headers, list) or not all(isinstance(name, str) for name in headers):
            raise HeaderError(f"{self._where}: 'headers' must be a list of column names")
        if not 0 < len(headers) <= COLUMN_COUNT_MAX:
            raise SizeLimitError(
                f"{self._where}: {len(headers)} columns, 1 to {COLUMN_COUNT_MAX} allowed"
            )
        columns = self._layout.get("columns", len(headers))
        if self._integer("columns", columns, high=COLUMN_COUNT_MAX) != len(headers):
            raise HeaderError(
                f"{self._where}: 'columns' is {_short(columns)} but 'headers' names {len(headers)}"
            )
        self._note_headers(headers)
        return tuple(headers)

    def _note_headers(self, headers: Sequence[str]) -> None:
        if not {"x", "y"} <= set(headers):
            self._deviate("no columns named x and y: the ShareLoc app cannot show it")
        if any(name.startswith("_") for name in headers):
            self._deviate("headers start with '_', which only the ShareLoc app takes off")
        if len(set(headers)) != len(headers):
            self._deviate("a header comes twice: most readers keep the last column of that name")
        odd = [name for name in headers if not name.isascii() or not _is_word(name)]
        if odd:
            self._deviate(f"headers with other than letters, digits and '_': {odd[:3]}")

    def _dtypes(self, count: int) -> tuple[np.dtype[Any], ...]:
        given = self._layout.get("dtype", "float32")
        names = [given] * count if isinstance(given, str) else given
        if not isinstance(names, list) or len(names) != count:
            raise HeaderError(f"{self._where}: 'dtype' must name one type for each header")
        found = [self._dtype(name) for name in names]
        others = sorted({str(dtype) for dtype in found if dtype != np.dtype("<f4")})
        if others:
            self._deviate(f"columns of type {', '.join(others)}: the ShareLoc app refuses")
        return tuple(found)

    def _dtype(self, name: object) -> np.dtype[Any]:
        code = _DTYPES.get(name.lower()) if isinstance(name, str) else None
        if code is None:
            known = ", ".join(_DTYPES)
            raise HeaderError(f"{self._where}: dtype {_short(name)} is none of {known}")
        if name not in _DTYPES:
            self._deviate(f"dtype is spelled {name!r}: shareloc-utils and Locan refuse")
        return np.dtype(code)

    def _counts(self, count: int) -> tuple[int, ...]:
        given = self._layout.get("shape")
        shapes = given if isinstance(given, list) and given else [1] * count
        if len(shapes) != count:
            raise HeaderError(f"{self._where}: 'shape' must have one entry for each header")
        counts = []
        for shape in shapes:
            sizes = shape if isinstance(shape, list) else [shape]
            product = 1
            for size in sizes:
                product *= self._integer("shape", size, high=COLUMN_COUNT_MAX)
            counts.append(product)
        if 0 in counts or sum(counts) > COLUMN_COUNT_MAX:
            raise SizeLimitError(
                f"{self._where}: {sum(counts)} values in a row, each column at least 1 and at"
                f" most {COLUMN_COUNT_MAX} in all allowed"
            )
        if any(number != 1 for number in counts):
            self._deviate("columns of several elements: shareloc-utils and Locan misread the rows")
        return tuple(counts)

    def _units(self, headers: Sequence[str]) -> tuple[str, ...]:
        given = self._layout.get("units")
        if isinstance(given, list) and len(given) == len(headers):
            return tuple(_text(unit) for unit in given)
        if headers:
            self._deviate("units is not a list with one entry per column: the Java reader fails")
        if isinstance(given, dict):
            return tuple(_text(given.get(name)) for name in headers)
        return ("",) * len(headers)

    def _offsets(self, headers: Sequence[str]) -> dict[str, float]:
        given = self._entry.get("offset")
        if not isinstance(given, dict) or not {"x", "y"} <= given.keys():
            self._deviate("offset lacks x and y: the Java reader fails")
        offsets = {}
        for name, value in (given if isinstance(given, dict) else {}).items():
            number = _number(value)
            if number is None:
                raise HeaderError(f"{self._where}: offset of {name!r} must be a finite number")
            if number and (name in headers or not headers):
                offsets[name] = number
        if offsets:
            self._deviate("offset is not 0: the ShareLoc app, shareloc-utils and Locan ignore it")
        return offsets

    def _segments(self) -> Segments | None:
        given = self._entry.get(INDEX_KEY)
        if not isinstance(given, dict) or not isinstance(given.get("sizes"), list):
            return None
        try:
            rows = integer(given.get("rows"), where="rows", high=ROW_COUNT_MAX)
            sizes = tuple(integer(size, where="size") for size in given["sizes"])
        except FormatError:
            return None
        return Segments(rows=rows, sizes=sizes) if rows else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_word(name: str) -> bool:
    return name.replace("_", "a").isalnum()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
