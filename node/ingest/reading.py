"""How a localization file is to be read: what people may say about it, and the reading itself."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import smlmfmt
from node.errors import InputError
from smlmfmt.delimited import columns_found
from smlmfmt.table import Bundle

__all__ = ["ReadingOptions", "check_format", "check_written_format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """What a person may say about a file that does not say it by itself."""

    format: str | None = None
    pixel_size_nm: float | None = None
    columns: dict[str, str | int] = field(default_factory=dict)
    on_error: str = "raise"
    variant: str | None = None

    def format_of(self, path: Path) -> str | None:
        """Return the file's format: the one named, or what its content shows; None for neither.

        Raises:
            InputError: It is a pipe or a device, which may have no end.
        """
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file")
        if self.columns and self.format is None:
            return "csv"
        return self.format or smlmfmt.sniff(path)

    def read(self, path: Path, *, progress: smlmfmt.Progress | None = None) -> Bundle:
        """Read a localization file, and tell how far that has come.

        Raises:
            InputError: No known format fits it, or the format named is none.
            FormatError: It is not what its format says it must be.
        """
        name = self._known_format(path)
        with io.BufferedReader(_Watched(path, progress)) as file:
            return smlmfmt.read(
                file,
                format=name,
                columns=self.columns or None,
                pixel_size_nm=self.pixel_size_nm,
                on_error="skip" if self.on_error == "skip" else "raise",
                variant=self.variant,
            )

    def convert(
        self,
        path: Path,
        target: Path,
        *,
        to_format: str | None,
        exact: bool,
        progress: smlmfmt.Progress | None = None,
    ) -> smlmfmt.Conversion:
        """Write a localization file in another format, block by block where both can.

        Raises:
            InputError: No known format fits it, or the format named is none.
            FormatError: It is not what its format says it must be, or cannot be said in the other.
        """
        return smlmfmt.convert(
            path,
            target,
            source_format=self._known_format(path),
            format=to_format,
            columns=self.columns or None,
            pixel_size_nm=self.pixel_size_nm,
            on_error="skip" if self.on_error == "skip" else "raise",
            variant=self.variant,
            exact=exact,
            progress=progress,
        )

    def _known_format(self, path: Path) -> str:
        name = self.format_of(path)
        if name is None:
            with path.open("rb") as file:
                why = columns_found(file)
            raise InputError(
                f"{path.name} is of no format known here{why and ': '}{why}; `locmesh info` says"
                " what was tried"
            )
        check_format(name)
        return name


class _Watched(io.FileIO):
    """A file on disk that tells how far it has been read."""

    def __init__(self, path: Path, progress: smlmfmt.Progress | None) -> None:
        super().__init__(str(path))
        self._progress = progress
        self._size = path.stat().st_size
        self._reached = 0

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        # Readers look at the end of archives first: what counts is what has been read in all.
        self._reached = min(self._reached + count, self._size)
        if self._progress is not None:
            self._progress(self._reached, self._size)
        return count


def check_format(name: str | None) -> None:
    """Refuse a format name that there is none of, with the nearest one.

    Raises:
        InputError: There is no such format.
    """
    known = [item.name for item in smlmfmt.formats()]
    if name is not None and name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
        raise InputError(f"there is no format {name!r}{hint}")


def check_written_format(name: str | None) -> None:
    """Refuse a format name that nothing is written in, before any work is done for it.

    Raises:
        InputError: There is no such format, or it is only read.
    """
    check_format(name)
    written = [item.name for item in smlmfmt.formats() if item.writes]
    if name is not None and name not in written:
        raise InputError(f"{name} is read but not written; choose {' or '.join(written)}")
