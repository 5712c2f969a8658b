"""pyMINFLUX's table as text: `tid,t,x,y,z`, as MINFLUX papers publish their positions.

Source: bsse-scf/pyMINFLUX test/data (the csv of Ostersehlt et al. 2022); writer/_writer.py.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from smlmfmt.columns import canonical_names
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Text, open_text, read_rows, split_line
from smlmfmt.text_cells import Dialect

__all__ = ["FORMAT", "read_pyminflux"]

UNITS = {"x": "nm", "y": "nm", "z": "nm", "t": "s", "tim": "s", "efo": "Hz", "fbg": "Hz",
         "eco": "photon"}  # fmt: skip
_TRACE = "tid"
_TIMES = {"t", "tim"}


def read_pyminflux(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a pyMINFLUX csv: positions in nm, times in s, traces by `tid`.

    Raises:
        HeaderError: The first line does not name tid, x, y and a time, or a name twice.
        RowError: A row is short, long or not numeric.
    """
    text = open_text(file, name=options.name)
    index, sources = _header(text)
    if not _names_traces(sources) or len(set(sources)) != len(sources):
        raise HeaderError(f"{options.name}: want tid, t, x and y, each name once; got {sources}")
    rows = read_rows(
        text,
        first_line=index + 1,
        columns=len(sources),
        dialect=Dialect(delimiter=","),
        on_error=options.on_error,
    )
    names = canonical_names(sources)
    table = LocTable(
        {name.name: values for name, values in zip(names, rows.columns, strict=True)},
        {name.name: UNITS.get(name.source, "") for name in names},
        name=options.name,
        source_names={name.name: name.source for name in names},
        format="pyminflux",
    )
    skipped = f"{options.name}: {rows.skipped} bad rows skipped; the first: {rows.first_bad}"
    return Bundle(tables=(table,), format="pyminflux", warnings=(skipped,) if rows.skipped else ())


def _header(text: Text) -> tuple[int, list[str]]:
    index = next(index for index, line in enumerate(text.lines) if line.strip())
    return index, split_line(text.lines[index], ",")


def _names_traces(sources: list[str]) -> bool:
    return {_TRACE, "x", "y"} <= set(sources) and not _TIMES.isdisjoint(sources)


def _is_pyminflux(head: bytes, _file: BinaryIO) -> bool:
    if _TRACE.encode() not in head.partition(b"\n")[0]:
        return False
    try:
        return _names_traces(_header(open_text(io.BytesIO(head), name="file"))[1])
    except FormatError:
        return False


FORMAT = Format(
    info=FormatInfo(
        name="pyminflux",
        title="pyMINFLUX table (csv)",
        suffixes=(".csv",),
        reads=True,
        writes=False,
    ),
    media_type="text/csv",
    sniff=_is_pyminflux,
    read=read_pyminflux,
)
