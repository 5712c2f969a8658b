"""The localization table and what comes with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError

if TYPE_CHECKING:
    from smlmfmt.summary import Summary

__all__ = ["Bundle", "Column", "Image", "LocTable"]

Column = npt.NDArray[Any]


class LocTable:
    """Columns of equal length by canonical name; lengths in nm.

    Args:
        columns: Arrays of shape (n,), integer or floating, by column name.
        units: Unit by column name; a name that is absent has no known unit ("").
        name: What the file calls the table.
        channel: The channel the file assigns, or "".
        frame_origin: 0 or 1 where the format or file counts frames from, None if unknown.
        source_names: What the file called each column; absent names are as in the file.
        metadata: What else the file says about the table; plain JSON values.
        format: Name of the format it was read from, or "".

    Raises:
        FormatError: Columns are not one-dimensional, not numeric or of different lengths.
    """

    def __init__(  # noqa: PLR0913 - a table's provenance has this many facts.
        self,
        columns: Mapping[str, npt.ArrayLike],
        units: Mapping[str, str] | None = None,
        *,
        name: str = "",
        channel: str = "",
        frame_origin: int | None = None,
        source_names: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        format: str = "",  # noqa: A002 - the field's own word.
    ) -> None:
        self._columns = {key: _column(key, values) for key, values in columns.items()}
        lengths = {len(values) for values in self._columns.values()}
        if len(lengths) > 1:
            sizes = {key: len(values) for key, values in self._columns.items()}
            raise FormatError(f"columns of one table must be equally long, got {sizes}")
        self._rows = lengths.pop() if lengths else 0
        given = dict(units or {})
        self.units = {key: given.get(key, "") for key in self._columns}
        self.name = name
        self.channel = channel
        self.frame_origin = frame_origin
        names = dict(source_names or {})
        self.source_names = {key: names.get(key, key) for key in self._columns}
        self.metadata = dict(metadata or {})
        self.format = format

    def __len__(self) -> int:
        """Return the number of localizations (rows)."""
        return self._rows

    def __getitem__(self, name: str) -> Column:
        try:
            return self._columns[name]
        except KeyError:
            raise KeyError(f"no column {name!r}; there are {', '.join(self._columns)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        return f"<LocTable {self.name!r}: {self._rows} rows x {', '.join(self._columns)}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names in the file's order."""
        return tuple(self._columns)

    def summary(self) -> Summary:
        """Measure the table: rows, bounds, frames, density, precision. Computed at each call."""
        from smlmfmt.summary import summarize  # noqa: PLC0415 - a tenth of all of the import.

        return summarize(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture that came with the tables.

    Attributes:
        data: The encoded file (PNG, JPEG) or the raw array's bytes, as stored.
        media_type: "image/png", "image/jpeg", or "application/octet-stream" for raw arrays.
        shape: (height, width), or (height, width, channels); None if the file does not say.
    """

    name: str
    data: bytes
    media_type: str
    channel: str = ""
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What one file holds: tables, images, and what the file says about itself."""

    tables: Sequence[LocTable]
    images: Sequence[Image] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    warnings: Sequence[str] = ()


def _column(name: str, values: npt.ArrayLike) -> Column:
    array = np.ascontiguousarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise FormatError(
            f"column {name!r} must be one row of numbers, got {array.dtype} of shape {array.shape}"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
