"""Columns of text in a delimited table: channel names, labels. Numbered, the texts kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Labels", "is_number"]

# Beyond these a column is no list of names but prose, or one name per row.
LABEL_COUNT_MAX = 16_384
LABELS_SIZE_MAX = 1 << 20


class Labels:
    """The different texts of each column of text, numbered from 0 as they first appear.

    Attributes:
        texts: By column index; None for a column with more or longer texts than are kept.
    """

    def __init__(self, columns: Sequence[int]) -> None:
        self.texts: dict[int, dict[str, int] | None] = {column: {} for column in columns}
        self._size = 0

    def renumber(
        self, columns: Sequence[npt.NDArray[np.float64]], found: Mapping[int, Sequence[str]]
    ) -> None:
        """Turn a block's own numbers into those of the whole file, in place.

        Args:
            columns: Each of shape (rows,); a column of text holds indices into its texts.
            found: The block's texts by column.
        """
        for column, texts in found.items():
            known = self.texts[column]
            if known is not None:
                known = self._added(column, known, texts)
            if known is None:
                columns[column][:] = np.nan
            elif len(columns[column]):
                numbers = np.array([known[text] for text in texts], np.float64)
                columns[column][:] = numbers[columns[column].astype(np.intp)]

    def _added(
        self, column: int, known: dict[str, int], texts: Sequence[str]
    ) -> dict[str, int] | None:
        for text in texts:
            if text not in known:
                known[text] = len(known)
                self._size += len(text)
        if len(known) > LABEL_COUNT_MAX or self._size > LABELS_SIZE_MAX:
            self.texts[column] = None
            return None
        return known

    def as_numbers(self, column: int) -> npt.NDArray[np.float64] | None:
        """Return the number each text of a column is, or None if not all of them are numbers."""
        texts = list(self.texts[column] or ())
        if not all(not text or is_number(text) for text in texts):
            return None
        return np.array([float(text) if text else np.nan for text in texts], np.float64)


def is_number(text: str) -> bool:
    """Say whether a cell is a number as microscopes write them."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
