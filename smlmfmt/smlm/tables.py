"""One table's entry in a manifest and its format object, turned into a TableSpec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smlmfmt.errors import FormatError, HeaderError, SizeLimitError
from smlmfmt.smlm.spec import (
    INDEX_KEY,
    Manifest,
    Segments,
    TableSpec,
    integer,
    number,
    plain_text,
    short,
)

__all__ = ["TableParser"]

COLUMN_COUNT_MAX = 4096
ROW_COUNT_MAX = 1 << 40

_DTYPES = {
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "float": "<f4",
    "single": "<f4",
    "double": "<f8",
    "byte": "u1",
}


class TableParser:
    """One table's entry and format object, turned into a TableSpec."""

    def __init__(
        self, manifest: Manifest, entry: dict[str, Any], layout: dict[str, Any], *, where: str
    ) -> None:
        self._manifest = manifest
        self._entry = entry
        self._layout = layout
        self._where = where

    def parse(self, *, is_first: bool) -> TableSpec:
        """Return the table, and put down on the manifest how it strays."""
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
            channel=plain_text(self._entry.get("channel")),
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
                f"{self._where}: 'columns' is {short(columns)} but 'headers' names {len(headers)}"
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
            raise HeaderError(f"{self._where}: dtype {short(name)} is none of {known}")
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
            return tuple(plain_text(unit) for unit in given)
        if headers:
            self._deviate("units is not a list with one entry per column: the Java reader fails")
        if isinstance(given, dict):
            return tuple(plain_text(given.get(name)) for name in headers)
        return ("",) * len(headers)

    def _offsets(self, headers: Sequence[str]) -> dict[str, float]:
        given = self._entry.get("offset")
        if not isinstance(given, dict) or not {"x", "y"} <= given.keys():
            self._deviate("offset lacks x and y: the Java reader fails")
        offsets = {}
        for name, value in (given if isinstance(given, dict) else {}).items():
            shift = number(value)
            if shift is None:
                raise HeaderError(f"{self._where}: offset of {name!r} must be a finite number")
            if shift and (name in headers or not headers):
                offsets[name] = shift
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


def _is_word(name: str) -> bool:
    return name.replace("_", "a").isalnum()
