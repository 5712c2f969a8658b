"""An open .smlm archive: its manifest, and its tables as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate, delimited
from smlmfmt.columns import LENGTHS, ColumnName, canonical_names, in_nanometres, normal_unit
from smlmfmt.errors import ArchiveError, HeaderError, RowError
from smlmfmt.format import ReadOptions
from smlmfmt.smlm_archive import DEFLATED, Archive, Entry
from smlmfmt.smlm_images import find
from smlmfmt.smlm_manifest import (
    MANIFEST_SIZE_MAX,
    Manifest,
    Segments,
    TableSpec,
    parse_manifest,
)
from smlmfmt.smlm_rows import Columns, Layout, transposed_columns
from smlmfmt.table import LocTable

__all__ = ["SmlmFile"]

FLOAT32_WHOLE_MAX = 1 << 24
TEXT_SIZE_MAX = 4 << 30
TRANSPOSED_SIZE_MAX = 4 << 30


class SmlmFile:
    """An open archive and its manifest."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.archive = Archive(file, name=name)
        entry = self._manifest_entry()
        self.folder = entry.name[: -len("manifest.json")]
        data = self.archive.read(entry, size_max=MANIFEST_SIZE_MAX)
        self.manifest: Manifest = parse_manifest(data, name=name)

    def tables(self, options: ReadOptions) -> Iterator[LocTable]:
        """Yield the tables in the manifest's order."""
        for spec in self.manifest.tables:
            yield self.table(spec, options)

    def table(self, spec: TableSpec, options: ReadOptions) -> LocTable:
        """Return one table, whole."""
        entry = self.entry(spec)
        if spec.text is not None:
            return self._text_table(spec, entry, options)
        layout = Layout(spec.dtypes, spec.counts)
        rows = self.rows(spec, entry, layout)
        if spec.is_transposed:
            arrays = self._transposed(spec, entry)
        else:
            arrays = self._interleaved(spec, entry, layout, rows)
        return self.as_table(spec, arrays, options)

    def entry(self, spec: TableSpec) -> Entry:
        """Return the archive's entry of a table."""
        entry = find(self.archive, self.folder, spec.member)
        if entry is None:
            raise ArchiveError(f"{self._of(spec)}: listed in the manifest, not in the archive")
        if entry.method != DEFLATED:
            self.manifest.deviate(f"{spec.member}: stored without compression; the rule is DEFLATE")
        return entry

    def rows(self, spec: TableSpec, entry: Entry, layout: Layout) -> int:
        """Return the number of rows, which manifest and archive must agree on."""
        held, rest = divmod(entry.size, layout.row_size)
        rows = held if spec.rows is None else spec.rows
        if rows != held or rest:
            raise RowError(
                f"{self._of(spec)}: {rows} rows of {layout.row_size} B promised, but the member"
                f" has {entry.size} B; the manifest does not fit the table"
            )
        return rows

    def segments(self, spec: TableSpec, entry: Entry, rows: int) -> Segments | None:
        """Return the index of independent segments if it fits the member."""
        segments = spec.segments
        if segments is None or entry.method != DEFLATED:
            return None
        count = max(1, -(-rows // segments.rows))
        if len(segments.sizes) != count or sum(segments.sizes) != entry.compressed_size:
            self.manifest.warnings.append(f"{spec.member}: its segment index does not fit it")
            return None
        return segments

    def inflated_segments(
        self, spec: TableSpec, entry: Entry, layout: Layout, *, start: int, end: int
    ) -> Iterator[bytes]:
        """Yield the content of the segments [start, end), inflated in threads."""
        segments = spec.segments
        assert segments is not None
        rows = entry.size // layout.row_size
        data_start = self.archive.data_start(entry)
        last = len(segments.sizes) - 1

        def pieces() -> Iterator[tuple[bytes, int, bool]]:
            at = data_start + sum(segments.sizes[:start])
            for index in range(start, end):
                size = segments.sizes[index]
                count = min(segments.rows, rows - index * segments.rows)
                yield self.archive.at(at, size), count * layout.row_size, index == last
                at += size

        def inflated(piece: tuple[bytes, int, bool]) -> bytes:
            data, size, is_last = piece
            return deflate.inflate_segment(data, size=size, is_last=is_last)

        yield from deflate.in_threads(inflated, pieces())

    def blocks(self, spec: TableSpec, options: ReadOptions, *, rows: int) -> Iterator[LocTable]:
        """Yield a table in blocks of at most `rows` rows."""
        entry = self.entry(spec)
        if spec.text is not None or spec.is_transposed:
            whole = self.table(spec, options)
            for start in range(0, len(whole), rows):
                yield sliced(whole, start, start + rows)
            return
        layout = Layout(spec.dtypes, spec.counts)
        self.rows(spec, entry, layout)
        size = rows * layout.row_size
        rest = b""
        for piece in self.archive.stream(entry):
            rest += piece
            while len(rest) >= size:
                yield self._block(spec, layout, rest[:size], options)
                rest = rest[size:]
        if rest:
            yield self._block(spec, layout, rest, options)

    def row_range(self, spec: TableSpec, options: ReadOptions, *, start: int, end: int) -> LocTable:
        """Return rows [start, end), inflating only their segments if there is an index."""
        entry = self.entry(spec)
        if spec.text is not None or spec.is_transposed:
            whole = self.table(spec, options)
            self._check_range(spec, start, end, len(whole))
            return sliced(whole, start, end)
        layout = Layout(spec.dtypes, spec.counts)
        rows = self.rows(spec, entry, layout)
        self._check_range(spec, start, end, rows)
        segments = self.segments(spec, entry, rows)
        if segments is None or start == end:
            first, pieces = 0, self.archive.stream(entry)
        else:
            first = start // segments.rows * segments.rows
            last = (end - 1) // segments.rows + 1
            pieces = self.inflated_segments(
                spec, entry, layout, start=start // segments.rows, end=last
            )
        wanted = slice((start - first) * layout.row_size, (end - first) * layout.row_size)
        try:
            content = _cut(pieces, wanted)
        except deflate.DeflateError as error:
            raise ArchiveError(f"{self._of(spec)}: {error}; the file is damaged") from error
        return self._block(spec, layout, content, options)

    def _block(
        self, spec: TableSpec, layout: Layout, content: bytes, options: ReadOptions
    ) -> LocTable:
        return self.as_table(spec, [view.copy() for view in layout.views(content)], options)

    def _check_range(self, spec: TableSpec, start: int, end: int, rows: int) -> None:
        if not 0 <= start <= end <= rows:
            raise RowError(f"{self._of(spec)}: no rows {start} to {end}; there are {rows}")

    def as_table(
        self, spec: TableSpec, arrays: list[npt.NDArray[Any]], options: ReadOptions
    ) -> LocTable:
        """Return a table of canonical columns in nm from the columns as stored."""
        columns: dict[str, npt.NDArray[Any]] = {}
        units: dict[str, str] = {}
        sources: dict[str, str] = {}
        for column, values in zip(self._names(spec), arrays, strict=True):
            offset = spec.offsets.get(column.source)
            moved = values if offset is None else _moved(values, offset)
            columns[column.name], units[column.name] = in_nanometres(
                moved,
                column.unit,
                pixel_size_nm=options.pixel_size_nm,
                what=f"{self._of(spec)}: column {column.source!r}",
            )
            sources[column.name] = column.source
            self._note_exactness(spec, column.name, columns[column.name])
        if spec.offsets:
            moved_columns = ", ".join(spec.offsets)
            self.manifest.warnings.append(f"{spec.member}: offset added to {moved_columns}")
        origin = spec.entry.get("frame_origin")
        return LocTable(
            columns,
            units,
            name=spec.name,
            channel=spec.channel,
            frame_origin=origin if origin in (0, 1) and isinstance(origin, int) else None,
            source_names=sources,
            metadata=dict(spec.entry),
            format="smlm",
        )

    def _of(self, spec: TableSpec) -> str:
        return f"{self.archive.name}: table {spec.member!r}"

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

    def _names(self, spec: TableSpec) -> list[ColumnName]:
        sources, units = [], []
        for header, count, unit in zip(spec.headers, spec.counts, spec.units, strict=True):
            names = [header] if count == 1 else [f"{header}_{index}" for index in range(count)]
            sources += names
            units += [normal_unit(unit)] * count
        names = canonical_names(sources)
        return [
            ColumnName(name.name, unit or name.unit or default_unit(name.name), name.source)
            for name, unit in zip(names, units, strict=True)
        ]

    def _interleaved(
        self, spec: TableSpec, entry: Entry, layout: Layout, rows: int
    ) -> list[npt.NDArray[Any]]:
        segments = self.segments(spec, entry, rows)
        if segments is not None:
            try:
                return self._segmented(spec, entry, layout, rows)
            except deflate.DeflateError as error:
                self.manifest.warnings.append(f"{spec.member}: segment index not used: {error}")
        columns = self._columns(spec, entry, layout, rows)
        for piece in self.archive.stream(entry):
            columns.take(piece)
        return columns.finished()

    def _columns(self, spec: TableSpec, entry: Entry, layout: Layout, rows: int) -> Columns:
        size = entry.compressed_size
        return Columns(layout, rows=rows, compressed_size=size, what=self._of(spec))

    def _segmented(
        self, spec: TableSpec, entry: Entry, layout: Layout, rows: int
    ) -> list[npt.NDArray[Any]]:
        assert spec.segments is not None
        columns = self._columns(spec, entry, layout, rows)
        crc = 0
        end = len(spec.segments.sizes)
        for content in self.inflated_segments(spec, entry, layout, start=0, end=end):
            crc = deflate.crc32(content, crc)
            columns.take(content)
        if crc != entry.crc:
            raise deflate.DeflateError("the checksum differs")
        return columns.finished()

    def _transposed(self, spec: TableSpec, entry: Entry) -> list[npt.NDArray[Any]]:
        if any(dtype.itemsize != 4 for dtype in spec.dtypes) or set(spec.counts) != {1}:
            raise HeaderError(f"{self._of(spec)}: format version 1 has 4-byte columns only")
        data = self.archive.read(entry, size_max=TRANSPOSED_SIZE_MAX)
        arrays = transposed_columns(data, len(spec.dtypes))
        return [array.view(dtype) for array, dtype in zip(arrays, spec.dtypes, strict=True)]

    def _text_table(self, spec: TableSpec, entry: Entry, options: ReadOptions) -> LocTable:
        data = self.archive.read(entry, size_max=TEXT_SIZE_MAX)
        assert spec.text is not None
        table, warnings = delimited.read_described(
            data, spec.text, options=options, what=self._of(spec)
        )
        self.manifest.warnings.extend(warnings)
        if spec.rows is not None and spec.rows != len(table):
            raise RowError(f"{self._of(spec)}: {spec.rows} rows promised, {len(table)} found")
        columns = {name: _moved(table[name], spec.offsets.get(name, 0.0)) for name in table.columns}
        return LocTable(
            columns,
            table.units,
            name=spec.name,
            channel=spec.channel,
            source_names=table.source_names,
            metadata=dict(spec.entry),
            format="smlm",
        )

    def _note_exactness(self, spec: TableSpec, name: str, values: npt.NDArray[Any]) -> None:
        if name in ("frame", "id") and values.dtype == np.float32 and len(values):
            if np.nanmax(values, initial=0.0) > FLOAT32_WHOLE_MAX:
                self.manifest.warnings.append(
                    f"{spec.member}: {name} goes beyond {FLOAT32_WHOLE_MAX}, which float32 cannot"
                    " count exactly"
                )


def default_unit(name: str) -> str:
    """Return the unit a length column of a .smlm file has if none is given."""
    return "nm" if name in LENGTHS else ""


def _moved(values: npt.NDArray[Any], offset: float) -> npt.NDArray[Any]:
    """Add an offset; whole numbers become float64, lest they overflow."""
    if not offset:
        return values
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return np.add(values, offset, dtype=dtype)


def _cut(pieces: Iterator[bytes], wanted: slice) -> bytes:
    """Return the wanted bytes of a stream, reading no further than needed."""
    found, at = [], 0
    for piece in pieces:
        found.append(piece[max(0, wanted.start - at) : max(0, wanted.stop - at)])
        at += len(piece)
        if at >= wanted.stop:
            break
    return b"".join(found)


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
