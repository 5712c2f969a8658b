"""An open .smlm archive: its manifest, and its tables as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate, delimited
from smlmfmt.columns import LENGTHS, ColumnName, canonical_names, in_nanometres, normal_unit
from smlmfmt.errors import ArchiveError, HeaderError, RowError
from smlmfmt.format import ReadOptions
from smlmfmt.smlm.archive import DEFLATED, Archive, Entry
from smlmfmt.smlm.images import find
from smlmfmt.smlm.manifest import MANIFEST_SIZE_MAX, parse_manifest
from smlmfmt.smlm.rows import Columns, Layout, transposed_columns
from smlmfmt.smlm.spec import Manifest, Segments, TableSpec
from smlmfmt.table import LocTable

__all__ = ["SmlmFile", "StoredTable"]

FLOAT32_WHOLE_MAX = 1 << 24
TEXT_SIZE_MAX = 4 << 30
TRANSPOSED_SIZE_MAX = 4 << 30


class SmlmFile:
    """An open archive and its manifest."""

    def __init__(self, file: BinaryIO, options: ReadOptions) -> None:
        self.archive = Archive(file, name=options.name)
        self.options = options
        entry = self._manifest_entry()
        self.folder = entry.name[: -len("manifest.json")]
        data = self.archive.read(entry, size_max=MANIFEST_SIZE_MAX)
        self.manifest: Manifest = parse_manifest(data, name=options.name)

    def tables(self) -> Iterator[LocTable]:
        """Yield the tables in the manifest's order."""
        for spec in self.manifest.tables:
            yield StoredTable(self, spec).whole()

    def _manifest_entry(self) -> Entry:
        entries = self.archive.entries
        if "manifest.json" in entries:
            return entries["manifest.json"]
        nested = [
            entry
            for name, entry in entries.items()
            if name.endswith("/manifest.json") and not name.startswith("__MACOSX/")
        ]
        if len(nested) != 1:
            raise ArchiveError(f"{self.archive.name}: no manifest.json; this is not a .smlm file")
        return nested[0]


class StoredTable:
    """One table where it lies in an archive.

    Raises:
        ArchiveError: The archive has no such member.
        RowError: Manifest and archive disagree on the number of rows.
    """

    def __init__(self, opened: SmlmFile, spec: TableSpec) -> None:
        self._archive = opened.archive
        self._options = opened.options
        self._manifest = opened.manifest
        self._spec = spec
        self._what = f"{opened.archive.name}: table {spec.member!r}"
        entry = find(opened.archive, opened.folder, spec.member)
        if entry is None:
            raise ArchiveError(f"{self._what}: listed in the manifest, not in the archive")
        if entry.method != DEFLATED:
            opened.manifest.deviate(f"{spec.member}: stored uncompressed; the rule is DEFLATE")
        self._entry = entry
        self._is_plain = spec.text is None and not spec.is_transposed
        if spec.text is None:
            self._layout = Layout(spec.dtypes, spec.counts)
            self._rows = self._agreed_rows()

    def whole(self) -> LocTable:
        """Return the table, checked against its checksum."""
        if self._spec.text is not None:
            return self._read_text()
        if self._spec.is_transposed:
            return self._as_table(self._read_transposed())
        columns = self._columns()
        segments = self._segments() if columns.is_whole else None
        if segments is not None:
            try:
                self._fill_segments(columns, segments)
                return self._as_table(columns.arrays)
            except deflate.DeflateError as error:
                self._warn(f"segment index not used: {error}")
        rows = columns.span()
        for piece in self._archive.stream(self._entry):
            rows.take(piece)
        rows.finish()
        return self._as_table(columns.arrays)

    def blocks(self, rows: int) -> Iterator[LocTable]:
        """Yield the table in blocks of at most `rows` rows."""
        if not self._is_plain:
            whole = self.whole()
            for start in range(0, len(whole), rows):
                yield sliced(whole, start, start + rows)
            return
        size = rows * self._layout.row_size
        rest = bytearray()
        for piece in self._archive.stream(self._entry):
            rest += piece
            while len(rest) >= size:
                yield self._block(bytes(rest[:size]))
                del rest[:size]
        if rest:
            yield self._block(bytes(rest))

    def row_range(self, start: int, end: int) -> LocTable:
        """Return rows [start, end), inflating only their segments if there is an index."""
        whole = None if self._is_plain else self.whole()
        rows = self._rows if whole is None else len(whole)
        if not 0 <= start <= end <= rows:
            raise RowError(f"{self._what}: no rows {start} to {end}; there are {rows}")
        if whole is not None:
            return sliced(whole, start, end)
        segments = self._segments()
        first = 0
        pieces: Iterable[bytes] = self._archive.stream(self._entry)
        if segments is not None and start < end:
            first = start // segments.rows
            compressed = self._pieces(segments, first, (end - 1) // segments.rows + 1)
            pieces = chain.from_iterable(piece.inflated() for piece in compressed)
            first *= segments.rows
        size = self._layout.row_size
        try:
            content = _cut(pieces, (start - first) * size, (end - first) * size)
        except deflate.DeflateError as error:
            raise ArchiveError(f"{self._what}: {error}; the file is damaged") from error
        return self._block(content)

    def _warn(self, text: str) -> None:
        self._manifest.warnings.append(f"{self._spec.member}: {text}")

    def _agreed_rows(self) -> int:
        held, rest = divmod(self._entry.size, self._layout.row_size)
        rows = held if self._spec.rows is None else self._spec.rows
        if rows != held or rest:
            raise RowError(
                f"{self._what}: {rows} rows of {self._layout.row_size} B promised, but the member"
                f" has {self._entry.size} B; the manifest does not fit the table"
            )
        return rows

    def _segments(self) -> Segments | None:
        """Return the index of independent segments if it fits the member."""
        segments = self._spec.segments
        if segments is None or self._entry.method != DEFLATED:
            return None
        count = max(1, -(-self._rows // segments.rows))
        if len(segments.sizes) != count or sum(segments.sizes) != self._entry.compressed_size:
            self._warn("its segment index does not fit it")
            return None
        return segments

    def _pieces(self, segments: Segments, start: int, end: int) -> Iterator[_Piece]:
        """Yield the segments [start, end), still compressed."""
        at = self._archive.data_start(self._entry) + sum(segments.sizes[:start])
        for index in range(start, end):
            size = segments.sizes[index]
            first = index * segments.rows
            yield _Piece(
                data=self._archive.at(at, size),
                start=first,
                end=min(first + segments.rows, self._rows),
                row_size=self._layout.row_size,
                is_last=index == len(segments.sizes) - 1,
            )
            at += size

    def _columns(self) -> Columns:
        size = self._entry.compressed_size
        return Columns(self._layout, rows=self._rows, compressed_size=size, what=self._what)

    def _fill_segments(self, columns: Columns, segments: Segments) -> None:
        """Inflate all segments into their rows, in threads, and check the checksum of all."""

        def fill(piece: _Piece) -> tuple[int, int]:
            rows = columns.span(piece.start, piece.end)
            crc = 0
            for content in piece.inflated():
                crc = deflate.crc32(content, crc)
                rows.take(content)
            rows.finish()
            return crc, (piece.end - piece.start) * piece.row_size

        whole = 0
        pieces = self._pieces(segments, 0, len(segments.sizes))
        for crc, size in deflate.in_threads(fill, pieces):
            whole = deflate.crc32_combined(whole, crc, size)
        if whole != self._entry.crc:
            raise deflate.DeflateError("the checksum differs")

    def _read_transposed(self) -> list[npt.NDArray[Any]]:
        spec = self._spec
        if any(dtype.itemsize != 4 for dtype in spec.dtypes) or set(spec.counts) != {1}:
            raise HeaderError(f"{self._what}: format version 1 has 4-byte columns only")
        data = self._archive.read(self._entry, size_max=TRANSPOSED_SIZE_MAX)
        return list(transposed_columns(data, spec.dtypes))

    def _read_text(self) -> LocTable:
        spec = self._spec
        assert spec.text is not None
        data = self._archive.read(self._entry, size_max=TEXT_SIZE_MAX)
        table, warnings = delimited.read_described(
            data, spec.text, options=self._options, what=self._what
        )
        self._manifest.warnings.extend(warnings)
        if spec.rows is not None and spec.rows != len(table) and not warnings:
            raise RowError(f"{self._what}: {spec.rows} rows promised, {len(table)} found")
        return LocTable(
            {name: _moved(table[name], spec.offsets.get(name, 0.0)) for name in table.columns},
            table.units,
            name=spec.name,
            channel=spec.channel,
            source_names=table.source_names,
            metadata=dict(spec.entry),
            format="smlm",
        )

    def _block(self, content: bytes) -> LocTable:
        return self._as_table([view.copy() for view in self._layout.views(content)])

    def _names(self) -> list[ColumnName]:
        spec = self._spec
        sources: list[str] = []
        units: list[str] = []
        for header, count, unit in zip(spec.headers, spec.counts, spec.units, strict=True):
            several = [f"{header}_{index}" for index in range(count)]
            sources += several if count > 1 else [header]
            units += [normal_unit(unit)] * count
        # A unit in a column's name counts only where the manifest gives none at all.
        is_silent = not any(units)
        return [
            ColumnName(
                name.name,
                unit or (name.unit if is_silent else "") or _default_unit(name.name),
                name.source,
            )
            for name, unit in zip(canonical_names(sources), units, strict=True)
        ]

    def _as_table(self, arrays: list[npt.NDArray[Any]]) -> LocTable:
        """Return a table of canonical columns in nm from the columns as stored."""
        spec = self._spec
        columns: dict[str, npt.NDArray[Any]] = {}
        units: dict[str, str] = {}
        names = self._names()
        for column, values in zip(names, arrays, strict=True):
            columns[column.name], units[column.name] = in_nanometres(
                _moved(values, spec.offsets.get(column.source, 0.0)),
                column.unit,
                pixel_size_nm=self._options.pixel_size_nm,
                what=f"{self._what}: column {column.source!r}",
            )
        for name in ("frame", "id"):
            if name in columns and _is_beyond_float32(columns[name]):
                self._warn(f"{name} goes beyond {FLOAT32_WHOLE_MAX}; float32 cannot count it")
        if spec.offsets:
            self._warn(f"the manifest's offset is added to {', '.join(spec.offsets)}")
        origin = spec.entry.get("frame_origin")
        return LocTable(
            columns,
            units,
            name=spec.name,
            channel=spec.channel,
            frame_origin=origin if origin in (0, 1) and isinstance(origin, int) else None,
            source_names={column.name: column.source for column in names},
            metadata=dict(spec.entry),
            format="smlm",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One compressed segment and the rows [start, end) it holds."""

    data: bytes
    start: int
    end: int
    row_size: int
    is_last: bool

    def inflated(self) -> Iterator[bytes]:
        size = (self.end - self.start) * self.row_size
        return deflate.inflate_segment(self.data, size=size, is_last=self.is_last)


def sliced(table: LocTable, start: int, end: int) -> LocTable:
    """Return rows [start, end) of a table with all it says about itself."""
    return LocTable(
        {name: table[name][start:end] for name in table.columns},
        table.units,
        name=table.name,
        channel=table.channel,
        frame_origin=table.frame_origin,
        source_names=table.source_names,
        metadata=table.metadata,
        format=table.format,
    )


def _cut(pieces: Iterable[bytes], start: int, end: int) -> bytes:
    """Return bytes [start, end) of a stream, reading no further than needed."""
    found = []
    at = 0
    for piece in pieces:
        found.append(piece[max(0, start - at) : max(0, end - at)])
        at += len(piece)
        if at >= end:
            break
    return b"".join(found)


def _default_unit(name: str) -> str:
    # The specification: lengths are in nm unless they say otherwise.
    return "nm" if name in LENGTHS else ""


def _is_beyond_float32(values: npt.NDArray[Any]) -> bool:
    if values.dtype != np.float32 or not len(values):
        return False
    return bool(np.fmax.reduce(values) > FLOAT32_WHOLE_MAX)


def _moved(values: npt.NDArray[Any], offset: float) -> npt.NDArray[Any]:
    """Add an offset; whole numbers become float64, lest they overflow."""
    if not offset:
        return values
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    moved: npt.NDArray[Any] = np.add(values, offset, dtype=dtype)
    return moved
