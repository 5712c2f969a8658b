"""An open .smlm archive: its manifest, and its tables as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import delimited
from smlmfmt.columns import LENGTHS, ColumnName, canonical_names, in_nanometres, normal_unit
from smlmfmt.errors import ArchiveError, HeaderError, RowError
from smlmfmt.format import ReadOptions
from smlmfmt.smlm.archive import DEFLATED, Archive, Entry
from smlmfmt.smlm.content import Content
from smlmfmt.smlm.images import find
from smlmfmt.smlm.manifest import MANIFEST_SIZE_MAX, parse_manifest
from smlmfmt.smlm.rows import Columns, Layout, transposed_columns
from smlmfmt.smlm.spec import Manifest, TableSpec
from smlmfmt.stream import TableStream, chosen, selected, stream_of
from smlmfmt.table import Bundle, LocTable

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

    def streams(self) -> Iterator[TableStream]:
        """Yield the tables as streams, of the columns that the options ask for."""
        for spec in self.manifest.tables:
            yield StoredTable(self, spec, only=self.options.only).stream()

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

    def __init__(
        self, opened: SmlmFile, spec: TableSpec, *, only: Sequence[str] | None = None
    ) -> None:
        self._only = only
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
        self._content: Content | None = None
        if spec.text is None:
            self._layout = Layout(spec.dtypes, spec.counts)
            self._rows = self._agreed_rows()
            self._names = self._column_names()
            self._wanted: Sequence[int] = range(len(self._names))
        if spec.text is None and not spec.is_transposed:
            self._wanted = self._wanted_columns()
            self._content = Content(
                self._archive,
                entry,
                row_size=self._layout.row_size,
                segments=spec.segments,
                warn=self._warn,
            )

    def stream(self) -> TableStream:
        """Return the table as a stream: native for rows of bytes, else of the whole table."""
        if self._content is None:
            found = stream_of(Bundle(tables=(self.whole(),))).tables[0]
            return found if self._only is None else selected(found, self._only)
        head = self._as_table([np.empty(0, self._native(index)) for index in self._wanted])
        return TableStream(
            head=head, rows_max=self._rows, blocks=self._blocks, section=self._section
        )

    def whole(self) -> LocTable:
        """Return the table, checked against its checksum."""
        if self._spec.text is not None:
            return self._read_text()
        return self._as_table(self._arrays())

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names of the stored columns."""
        if self._spec.text is not None:
            return self.whole().columns
        return tuple(column.name for column in self._names)

    def stored(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns as they are stored, no offset added and no unit changed."""
        if self._spec.text is not None:
            table = self.whole()
            return {name: table[name] for name in table.columns}
        names = (self._names[index].name for index in self._wanted)
        return dict(zip(names, self._arrays(), strict=True))

    def _arrays(self) -> list[npt.NDArray[Any]]:
        if self._content is None:
            return self._read_transposed()
        columns = Columns(
            self._layout,
            rows=self._rows,
            compressed_size=self._entry.compressed_size,
            what=self._what,
            wanted=self._wanted,
        )
        self._content.fill(columns)
        return columns.arrays

    def _blocks(self, rows: int) -> Iterator[LocTable]:
        """Yield the table in blocks of at most `rows` rows."""
        assert self._content is not None
        size = min(rows, max(self._rows, 1)) * self._layout.row_size
        rest = bytearray()
        for piece in self._content.pieces():
            rest += piece
            while len(rest) >= size:
                yield self._block(rest[:size])
                del rest[:size]
        if rest:
            yield self._block(rest)

    def _section(self, start: int, end: int) -> LocTable:
        """Return rows [start, end)."""
        assert self._content is not None
        if not 0 <= start <= end <= self._rows:
            raise RowError(f"{self._what}: no rows {start} to {end}; there are {self._rows}")
        return self._block(self._content.section(start, end))

    def _warn(self, text: str) -> None:
        warning = f"{self._spec.member}: {text}"
        if warning not in self._manifest.warnings:  # Said once, however many blocks there are.
            self._manifest.warnings.append(warning)

    def _agreed_rows(self) -> int:
        held, rest = divmod(self._entry.size, self._layout.row_size)
        rows = held if self._spec.rows is None else self._spec.rows
        if rows != held or rest:
            raise RowError(
                f"{self._what}: {rows} rows of {self._layout.row_size} B promised, but the member"
                f" has {self._entry.size} B; the manifest does not fit the table"
            )
        return rows

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

    def _block(self, content: bytes | bytearray) -> LocTable:
        views = self._layout.views(memoryview(content))
        return self._as_table([views[index].astype(self._native(index)) for index in self._wanted])

    def _native(self, index: int) -> np.dtype[Any]:
        return self._layout.dtypes[index].newbyteorder("=")

    def _wanted_columns(self) -> Sequence[int]:
        """Return the indices of the columns to be read, in the order asked for."""
        if self._only is None:
            return range(len(self._names))
        names = [column.name for column in self._names]
        return [names.index(name) for name in chosen(names, self._only, what=self._what)]

    def _column_names(self) -> list[ColumnName]:
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
        names = [self._names[index] for index in self._wanted]
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
