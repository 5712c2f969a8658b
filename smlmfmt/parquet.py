"""Apache Parquet, the columnar format of data science, through pyarrow.

Units, the frame origin and source names travel in the file's own key-value metadata, so that a
table written here comes back whole; others' files have names only, which say what they can.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import LATERAL_LENGTHS, LENGTHS, ColumnName, canonical_names, in_nanometres
from smlmfmt.documents import plain
from smlmfmt.errors import ArchiveError, FormatError, HeaderError, SizeLimitError
from smlmfmt.format import Format, FormatInfo, ReadOptions, WriteOptions
from smlmfmt.table import Bundle, LocTable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["FORMAT", "read_parquet", "write_parquet"]

COLUMN_COUNT_MAX = 4096
FACTS_SIZE_MAX = 1 << 20
# Columns of one value take next to nothing in Parquet; a table is granted this many times its file.
RATIO_MAX = 250
RATIO_FREE_SIZE = 64 << 20

_MAGIC = b"PAR1"
_KEY = b"smlmfmt"
_UNIT = b"unit"
_ITEM_SIZE_MAX = 8


def read_parquet(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the numeric columns of a Parquet file; missing values become NaN.

    Raises:
        ArchiveError: The file is damaged.
        HeaderError: There is no column x or y.
        SizeLimitError: The file asks for more than a reader grants.
        UnitError: Lengths are in pixels and the pixel size is not given.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy.

    with _arrow_errors(options.name):
        file.seek(0)
        opened = pq.ParquetFile(file, page_checksum_verification=True)
        _check_size(file, opened.metadata, options.name)
        data = opened.read(use_threads=False)
    warnings: list[str] = []
    facts = _facts(data.schema, options.name)
    columns, units, sources = _columns(data, facts, options=options, warnings=warnings)
    if not {"x", "y"} <= columns.keys():
        raise HeaderError(
            f"{options.name}: no columns x and y; there are {', '.join(data.column_names)}"
        )
    origin = facts.get("frame_origin")
    name, channel = facts.get("name"), facts.get("channel")
    table = LocTable(
        columns,
        units,
        name=name if isinstance(name, str) and name else options.name,
        channel=channel if isinstance(channel, str) else "",
        frame_origin=origin if origin in (0, 1) else None,
        source_names=sources,
        metadata=facts["metadata"] if isinstance(facts.get("metadata"), dict) else {},
        format="parquet",
    )
    return Bundle(tables=(table,), format="parquet", warnings=tuple(warnings))


def write_parquet(
    file: BinaryIO,
    bundle: Bundle,
    options: WriteOptions,  # noqa: ARG001 - every type is kept, lengths are in nm.
) -> None:
    """Write one table, every column in its own type, zstd-compressed, floats split by bytes.

    Raises:
        FormatError: There is not exactly one table.
    """
    if len(bundle.tables) != 1:
        raise FormatError(f"a Parquet file holds one table, not {len(bundle.tables)}")
    table = bundle.tables[0]
    import pyarrow as pa  # noqa: PLC0415 - heavy.
    import pyarrow.parquet as pq  # noqa: PLC0415

    facts = {
        "name": table.name,
        "channel": table.channel,
        "frame_origin": table.frame_origin,
        "source_names": table.source_names,
        "metadata": table.metadata,
    }
    fields = [
        pa.field(
            name,
            pa.from_numpy_dtype(table[name].dtype),
            nullable=False,
            metadata={_UNIT: table.units[name]},
        )
        for name in table.columns
    ]
    schema = pa.schema(fields, metadata={_KEY: json.dumps(plain(facts, name=table.name))})
    # Floats of four and eight bytes compress best when bytes of one place lie together.
    split = [name for name in table.columns if table[name].dtype.str[1:] in ("f4", "f8")]
    pq.write_table(
        pa.Table.from_arrays([pa.array(table[name]) for name in table.columns], schema=schema),
        file,
        compression="zstd",
        use_dictionary=[name for name in table.columns if name not in split],
        use_byte_stream_split=split or False,
        write_page_checksum=True,
    )


@contextmanager
def _arrow_errors(name: str) -> Iterator[None]:
    """Turn what pyarrow makes of damage into our errors."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise  # The disk's own, not one that pyarrow made of damage.
        raise ArchiveError(f"{name}: the Parquet file is damaged: {_first_line(error)}") from error
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ArchiveError(f"{name}: the Parquet file is damaged: {_first_line(error)}") from error
    except MemoryError as error:
        raise SizeLimitError(f"{name}: a column does not fit into memory") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _check_size(file: BinaryIO, metadata: pq.FileMetaData, name: str) -> None:
    at = file.tell()
    size = file.seek(0, 2)
    file.seek(at)
    if metadata.num_columns > COLUMN_COUNT_MAX:
        raise SizeLimitError(
            f"{name}: {metadata.num_columns} columns, at most {COLUMN_COUNT_MAX} allowed"
        )
    needed = metadata.num_rows * metadata.num_columns * _ITEM_SIZE_MAX
    declared = sum(
        metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)
    )
    granted = max(RATIO_FREE_SIZE, RATIO_MAX * size)
    if not 0 <= max(needed, declared) <= granted:
        raise SizeLimitError(
            f"{name}: {max(needed, declared)} B from a file of {size} B; at most {granted} B"
        )


def _facts(schema: pa.Schema, name: str) -> dict[str, Any]:
    raw = (schema.metadata or {}).get(_KEY, b"{}")
    try:
        facts = json.loads(raw) if len(raw) <= FACTS_SIZE_MAX else {}
    except (ValueError, RecursionError):
        return {}
    return plain(facts, name=name) if isinstance(facts, dict) else {}


def _columns(
    data: pa.Table, facts: dict[str, Any], *, options: ReadOptions, warnings: list[str]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str], dict[str, str]]:
    columns: dict[str, npt.NDArray[Any]] = {}
    units: dict[str, str] = {}
    sources: dict[str, str] = {}
    given = facts.get("source_names")
    left_out = []
    for index, name in enumerate(_names(data.schema, options)):
        values = _values(data.column(index))
        if values is None:
            left_out.append(name.source)
            continue
        columns[name.name], units[name.name] = in_nanometres(
            values,
            name.unit,
            pixel_size_nm=options.pixel_size_nm,
            what=f"{options.name}: column {name.source!r}",
        )
        own = given.get(name.source) if isinstance(given, dict) else None
        sources[name.name] = own if isinstance(own, str) else name.source
    if left_out:
        warnings.append(f"{options.name}: no numbers, left out: {', '.join(left_out[:20])}")
    return columns, units, sources


def _names(schema: pa.Schema, options: ReadOptions) -> list[ColumnName]:
    """Return names and units: the file's own, else what a name says, else nm for lengths."""
    lateral = "nm" if options.pixel_size_nm is None else "px"
    names = []
    found = canonical_names(schema.names)
    if _KEY in (schema.metadata or {}) and len(set(schema.names)) == len(schema.names):
        found = [ColumnName(name, "", name) for name in schema.names]
    for name, field in zip(found, schema, strict=True):
        own = (field.metadata or {}).get(_UNIT)
        default = lateral if name.name in LATERAL_LENGTHS else "nm"
        unit = name.unit or (default if name.name in LENGTHS else "")
        if own is not None:
            unit = own.decode("utf-8", "replace")
        names.append(ColumnName(name.name, unit, name.source))
    return names


def _values(column: pa.ChunkedArray) -> npt.NDArray[Any] | None:
    """Return a column of numbers as an array, None for anything else."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number:
        return None
    if column.null_count and not pa.types.is_floating(kind):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy()
    return np.ascontiguousarray(values) if values.dtype.kind in "biuf" else None


def _is_parquet(head: bytes, _file: BinaryIO) -> bool:
    return head.startswith(_MAGIC)


FORMAT = Format(
    info=FormatInfo(
        name="parquet",
        title="Apache Parquet",
        suffixes=(".parquet",),
        reads=True,
        writes=True,
    ),
    media_type="application/vnd.apache.parquet",
    sniff=_is_parquet,
    read=read_parquet,
    write=write_parquet,
)
