"""rapidSTORM tables: a line of XML that describes the columns, then rows set apart by blanks.

The fields are columns in document order, each with its unit; the limits in the header are in metres
whatever the unit of the values. Frames are counted from 0. PSFWidth is a full width at half
maximum. Old versions name a field by its meaning only.

A file of tracks has a table inside its table: each line is one track, its own fields, the number
of its localizations, and their fields one after another. It becomes one row per localization, with
the track's number in `track_id` and its fields under names that begin with `track_`.

Source: stevewolter/rapidSTORM localization_file/localization_field_impl.h; Locan
locan_io/locdata/rapidstorm_io.py for tracks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from xml.parsers import expat

from smlmfmt.columns import ColumnName, canonical_names, normal_unit
from smlmfmt.errors import FormatError, HeaderError, SizeLimitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.layout import COMMENT, Header, Layout, arrange, read_layout
from smlmfmt.rapidstorm_tracks import read_tracks
from smlmfmt.stream import BundleStream, stream_of
from smlmfmt.table import Bundle
from smlmfmt.text import LINE_SIZE_MAX, open_text
from smlmfmt.text_cells import Dialect
from smlmfmt.text_stream import by_blocks

__all__ = ["FORMAT", "read_rapidstorm"]

FIELD_COUNT_MAX = 256
_MAGIC = re.compile(rb"(?:\xef\xbb\xbf)?\s*#\s*(?=<localizations[\s>])")
_BY_MEANING = {
    "x-position": "Position-0-0",
    "y-position": "Position-1-0",
    "z-position": "Position-2-0",
    "frame number": "ImageNumber-0-0",
    "emission strength": "Amplitude-0-0",
    "two kernel improvement": "TwoKernelImprovement-0-0",
}
# Our names by header_key; the unit is the field's.
_KNOWN = {
    "psfwidth-0-0": ("fwhm_x", ""),
    "psfwidth-1-0": ("fwhm_y", ""),
    "twokernelimprovement-0-0": ("two_kernel_improvement", ""),
    "fluorophore-0-0": ("channel", ""),
    "position-2-0-uncertainty": ("z_precision", ""),
}


@dataclass(slots=True)
class _Fields:
    """The fields of a header: of each row, and of each localization where a row is a track."""

    depth: int = 0
    rows: list[tuple[str, str]] = field(default_factory=list)
    localizations: list[tuple[str, str]] = field(default_factory=list)
    is_nested: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if tag == "localizations":
            self.is_nested |= self.depth == 2
            if self.depth > 2:
                raise HeaderError("tables inside tables inside tables are not known")
            return
        if tag != "field":
            return
        if self.depth > 3:
            raise HeaderError("a field inside a field")
        fields = self.rows if self.depth == 2 else self.localizations
        if len(fields) >= FIELD_COUNT_MAX:
            raise SizeLimitError(f"more than {FIELD_COUNT_MAX} fields")
        meaning = attributes.get("semantic", "")
        source = attributes.get("identifier") or _BY_MEANING.get(meaning) or meaning or "field"
        fields.append((source, attributes.get("unit", "")))

    def end(self, _tag: str) -> None:
        self.depth -= 1


def read_rapidstorm(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a rapidSTORM file.

    Raises:
        HeaderError: The first line is not rapidSTORM's XML.
        RowError: A row is short, long or not numeric, or a track's count is wrong.
        UnitError: Positions are in pixels and the pixel size is not given.
    """
    file.seek(0)
    line = file.readline(LINE_SIZE_MAX)
    fields = _parse_header(line, options)
    names = _names(fields.localizations if fields.is_nested else fields.rows)
    if fields.is_nested:
        own = [
            ColumnName(f"track_{name.name}", name.unit, name.source) for name in _names(fields.rows)
        ]
        layout = Layout(
            format_name="rapidstorm",
            names=(ColumnName("track_id", "", "track"), *own, *names),
            dialect=Dialect(delimiter=" ", comment=COMMENT),
            first_line=1,
            frame_origin=0,
        )
        return read_tracks(file, layout, options, track_fields=len(own))
    text = open_text(file, name=options.name)
    index = next(index for index, line in enumerate(text.lines) if line.strip())
    header = Header(
        sources=tuple(name.source for name in names),
        delimiter=" ",
        first_line=index + 1,
        comment=COMMENT,
    )
    layout = arrange(text, header, names, options=options, format_name="rapidstorm")
    return read_layout(text, replace(layout, frame_origin=0), options)


def _parse_header(line: bytes, options: ReadOptions) -> _Fields:
    """Return the fields that the first line describes."""
    if (magic := _MAGIC.match(line)) is None:
        raise HeaderError(f"{options.name}: want '# <localizations ...>' as the first line")
    fields = _Fields()
    parser = expat.ParserCreate()
    parser.StartElementHandler = fields.start
    parser.EndElementHandler = fields.end
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(line[magic.end() :].strip(), True)  # noqa: FBT003 - expat's own way.
    except (expat.ExpatError, UnicodeError) as error:
        raise HeaderError(f"{options.name}: the first line is no valid XML: {error}") from error
    except FormatError as error:
        raise type(error)(f"{options.name}: the first line: {error}") from None
    if not fields.rows or (fields.is_nested and not fields.localizations):
        raise HeaderError(f"{options.name}: the first line names no fields")
    return fields


def _no_doctype(*_: object) -> None:
    raise HeaderError("a document type has no place here")


def _names(fields: list[tuple[str, str]]) -> list[ColumnName]:
    names = canonical_names([source for source, _ in fields], _KNOWN)
    return [
        ColumnName(name.name, _unit(unit), name.source)
        for name, (_, unit) in zip(names, fields, strict=True)
    ]


def _unit(text: str) -> str:
    return "" if text in ("dimensionless", "frame") else normal_unit(text)


def _stream(file: BinaryIO, options: ReadOptions) -> BundleStream:
    if _parse_header(file.readline(LINE_SIZE_MAX), options).is_nested:
        return stream_of(read_rapidstorm(file, options))
    file.seek(0)
    return by_blocks(read_rapidstorm)(file, options)


def _is_rapidstorm(head: bytes, _file: BinaryIO) -> bool:
    return _MAGIC.match(head) is not None


FORMAT = Format(
    info=FormatInfo(
        name="rapidstorm",
        title="rapidSTORM table",
        suffixes=(".txt",),
        reads=True,
        writes=False,
    ),
    media_type="text/plain",
    sniff=_is_rapidstorm,
    read=read_rapidstorm,
    stream=_stream,
)
