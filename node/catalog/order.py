"""The order of results, and cursors into it.

Every order is total: equal keys are told apart by the dataset's row. A cursor names the last key
and row that were shown, so whatever is published or revised meanwhile, the next page neither
repeats nor skips a dataset that has not changed itself.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.catalog.columns import NAME_SIZE, Columns
from node.catalog.taglists import Rows
from node.errors import InputError

__all__ = ["SORTS", "Cursor", "page"]

CURSOR_LENGTH_MAX = 400
Tiers: TypeAlias = NDArray[np.int8]
_HEX = re.compile("([0-9a-f]{2})*")
_ROW_MAX = 1 << 62
_TIER = 1 << 54  # Above every time in seconds that a record may name.


def _relevance(columns: Columns, rows: Rows, tiers: Tiers) -> NDArray[Any]:
    key: NDArray[Any] = -(tiers.astype(np.int64) * _TIER + columns["issued"][rows])
    return key


def _newest(columns: Columns, rows: Rows, _: Tiers) -> NDArray[Any]:
    key: NDArray[Any] = -columns["issued"][rows]
    return key


def _oldest(columns: Columns, rows: Rows, _: Tiers) -> NDArray[Any]:
    key: NDArray[Any] = columns["issued"][rows]
    return key


def _name(columns: Columns, rows: Rows, _: Tiers) -> NDArray[Any]:
    key: NDArray[Any] = columns["name"][rows]
    return key


def _descending(column: str) -> "Order":
    return lambda columns, rows, _: _known_first(-columns[column][rows])


def _ascending(column: str) -> "Order":
    return lambda columns, rows, _: _known_first(columns[column][rows])


def _known_first(numbers: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(np.isnan(numbers), np.inf, numbers.astype(np.float64))


Order: TypeAlias = Callable[[Columns, Rows, Tiers], NDArray[Any]]
# By name: what comes first has the lowest key.
SORTS: Mapping[str, Order] = MappingProxyType(
    {
        "relevance": _relevance,
        "newest": _newest,
        "oldest": _oldest,
        "name": _name,
        "localizations": _descending("localizations"),
        "precision": _ascending("precision_nm"),
        "fov": _descending("fov_um"),
        "size": _descending("size"),
    }
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last place that was shown, in an order."""

    sort: str
    key: int | float | bytes
    row: int

    def format(self) -> str:
        """Return the opaque text."""
        key = self.key.hex() if isinstance(self.key, bytes) else self.key
        data = json.dumps([self.sort, key, self.row], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, *, sort: str) -> Self:
        """Read the opaque text, else InputError."""
        padded = text[:CURSOR_LENGTH_MAX].encode() + b"=" * (-len(text) % 4)
        try:
            of, key, row = json.loads(base64.urlsafe_b64decode(padded))
        except (ValueError, TypeError, RecursionError):
            of, key, row = None, None, None
        if sort == "name" and type(key) is str and len(key) <= 2 * NAME_SIZE:
            key = bytes.fromhex(key) if _HEX.fullmatch(key) else None
        is_key = type(key) is bytes if sort == "name" else type(key) in (int, float)
        if of != sort or not is_key or type(row) is not int or abs(row) > _ROW_MAX:
            raise InputError("cursor: it does not belong to this search; begin again without one")
        return cls(sort, key, row)


def page(
    columns: Columns,
    rows: Rows,
    tiers: Tiers,
    *,
    cursor: Cursor | str,
    limit: int,
) -> tuple[list[int], Cursor | None]:
    """Return the rows of one page and the cursor of the next one, if there is any.

    Args:
        columns: All datasets.
        rows: The results' rows, (n,), in any order.
        tiers: How well each fits, (n,).
        cursor: Where the page before ended, or the name of the order for the first page.
        limit: How many rows at most.
    """
    sort = cursor if isinstance(cursor, str) else cursor.sort
    keys = SORTS[sort](columns, rows, tiers)
    if isinstance(cursor, Cursor):
        after = (keys > cursor.key) | ((keys == cursor.key) & (rows < cursor.row))
        rows, keys = rows[after], keys[after]
    if len(rows) > limit > 0:
        # All that could be on the page: sorting the rest would be for nothing.
        near = keys <= np.partition(keys, limit - 1)[limit - 1]
        near_rows, near_keys = rows[near], keys[near]
    else:
        near_rows, near_keys = rows, keys
    order = np.lexsort((-near_rows, near_keys))[:limit]
    shown = near_rows[order].tolist()
    if not shown or len(shown) == len(rows):
        return shown, None
    last = near_keys[order[-1]].item()
    return shown, Cursor(sort, last, shown[-1])
