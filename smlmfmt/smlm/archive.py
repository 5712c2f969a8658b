"""ZIP archives as other people write them, read without trusting a word of them.

Only what a .smlm file needs: the central directory, ZIP64, stored and deflated members. Written
here rather than taken from `zipfile`, which reads a directory of any length before one can look
at it, raises a dozen kinds of error, and cannot inflate with another library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from smlmfmt import deflate
from smlmfmt.errors import ArchiveError, SizeLimitError

__all__ = ["Archive", "Entry"]

ENTRY_COUNT_MAX = 4096
DIRECTORY_SIZE_MAX = 4 << 20
NAME_SIZE_MAX = 1024
PATH_DEPTH_MAX = 16
ENTRY_SIZE_MAX = 1 << 40
# A table whose every column is constant compresses a thousandfold, real ones less than tenfold.
RATIO_MAX = 250
RATIO_FREE_SIZE = 64 << 20

STORED = 0
DEFLATED = 8

_END = struct.Struct("<4sHHHHIIH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_COMMENT_SIZE_MAX = 65_535
_U16 = 0xFFFF
_U32 = 0xFFFFFFFF
_ENCRYPTED = 0x0001
_UTF8 = 0x0800


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member as the central directory describes it; sizes in bytes."""

    name: str
    method: int
    crc: int
    compressed_size: int
    size: int
    header_start: int
    raw_name: bytes

    @property
    def is_directory(self) -> bool:
        """Whether the entry only names a folder."""
        return self.name.endswith("/")


class Archive:
    """The members of a ZIP file, each checked against the limits before a byte is inflated.

    Raises:
        ArchiveError: The file is not a ZIP archive, is cut short, names a member twice or
            unsafely, encrypts, or has members that overlap.
        SizeLimitError: It has more or larger members than a reader grants.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self._file = file
        self.name = name
        self._size = file.seek(0, 2)
        self._total = 0
        self.entries: dict[str, Entry] = {}
        directory, start = self._directory()
        for entry in self._parsed(directory):
            self._admit(entry)
        self._refuse_overlap(start)

    def data_start(self, entry: Entry) -> int:
        """Return where a member's bytes start, after its local header."""
        self._file.seek(entry.header_start)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
            raise ArchiveError(f"{self._of(entry)}: no local header where the directory says")
        fields = _LOCAL.unpack(header)
        name_size, extra_size = fields[9], fields[10]
        if self._file.read(name_size) != entry.raw_name:
            raise ArchiveError(f"{self._of(entry)}: the local header has another name")
        start = entry.header_start + _LOCAL.size + name_size + extra_size
        if start + entry.compressed_size > self._size:
            raise ArchiveError(f"{self._of(entry)}: ends beyond the file; it is probably cut short")
        return int(start)

    def at(self, start: int, size: int) -> bytes:
        """Return bytes of the file as they lie there."""
        self._file.seek(start)
        return self._file.read(size)

    def stream(self, entry: Entry) -> Iterator[bytes]:
        """Yield a member's content in pieces, and check size and CRC at the end.

        Raises:
            ArchiveError: The bytes are damaged, too many or too few.
        """
        crc = count = 0
        for piece in self._pieces(entry):
            crc = isal_zlib.crc32(piece, crc)
            count += len(piece)
            if count > entry.size:
                raise ArchiveError(f"{self._of(entry)}: holds more than the {entry.size} B it says")
            yield piece
        if count != entry.size:
            raise ArchiveError(f"{self._of(entry)}: {count} B instead of {entry.size} B")
        if crc != entry.crc:
            raise ArchiveError(f"{self._of(entry)}: checksum differs; the file is damaged")

    def read(self, entry: Entry, *, size_max: int) -> bytes:
        """Return a member's content, at most `size_max` bytes of it being granted."""
        if entry.size > size_max:
            raise SizeLimitError(f"{self._of(entry)}: {entry.size} B, at most {size_max} B allowed")
        return b"".join(self.stream(entry))

    def _of(self, entry: Entry) -> str:
        return f"{self.name}: member {entry.name!r}"

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        start = self.data_start(entry)
        raw = self._raw(start, start + entry.compressed_size)
        if entry.method == STORED:
            yield from raw
            return
        try:
            yield from deflate.inflate(raw)
        except deflate.DeflateError as error:
            raise ArchiveError(f"{self._of(entry)}: {error}; the file is damaged") from error

    def _raw(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            self._file.seek(start)
            piece = self._file.read(min(deflate.CHUNK_SIZE, end - start))
            if not piece:
                raise ArchiveError(f"{self.name}: the file ended while it was read")
            start += len(piece)
            yield piece

    def _directory(self) -> tuple[bytes, int]:
        """Return the central directory's bytes and where they start."""
        tail_start = max(0, self._size - _END.size - _COMMENT_SIZE_MAX)
        self._file.seek(tail_start)
        tail = self._file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise ArchiveError(
                f"{self.name}: no ZIP directory at the end; the file is cut short or no archive"
            )
        _, disk, first_disk, _, count, size, start, _ = _END.unpack_from(tail, at)
        end = tail_start + at
        if _U16 in (count, disk) or _U32 in (size, start):
            disk, first_disk, count, size, start, end = self._directory64(
                end, (disk, first_disk, count, size, start)
            )
        if disk or first_disk:
            raise ArchiveError(f"{self.name}: archives in several parts are not read")
        if count > ENTRY_COUNT_MAX or size > DIRECTORY_SIZE_MAX:
            raise SizeLimitError(
                f"{self.name}: {count} members ({size} B of directory), at most"
                f" {ENTRY_COUNT_MAX} ({DIRECTORY_SIZE_MAX} B) allowed"
            )
        if start + size > end:
            raise ArchiveError(f"{self.name}: the ZIP directory points outside the file")
        self._file.seek(start)
        return self._file.read(size), start

    def _directory64(
        self, end: int, plain: tuple[int, int, int, int, int]
    ) -> tuple[int, int, int, int, int, int]:
        """Return the ZIP64 counterparts of the end record's fields, if there are any."""
        locator_start = end - _END64_LOCATOR.size
        self._file.seek(max(0, locator_start))
        locator = self._file.read(_END64_LOCATOR.size)
        if locator_start < 0 or locator[:4] != b"PK\6\7":
            return (*plain, end)
        start64 = _END64_LOCATOR.unpack(locator)[2]
        if start64 + _END64.size > locator_start:
            raise ArchiveError(f"{self.name}: the ZIP64 directory points outside the file")
        self._file.seek(start64)
        record = self._file.read(_END64.size)
        if record[:4] != b"PK\6\6":
            raise ArchiveError(f"{self.name}: no ZIP64 directory where the locator says")
        _, _, _, _, disk, first_disk, _, count, size, start = _END64.unpack(record)
        return disk, first_disk, count, size, start, start64

    def _parsed(self, directory: bytes) -> Iterator[Entry]:
        at = 0
        while at + _CENTRAL.size <= len(directory) and directory[at : at + 4] == b"PK\1\2":
            fields = _CENTRAL.unpack_from(directory, at)
            name_size, extra_size, comment_size = fields[10:13]
            name_end = at + _CENTRAL.size + name_size
            extra_end = name_end + extra_size
            if extra_end + comment_size > len(directory):
                raise ArchiveError(f"{self.name}: the ZIP directory is cut short")
            raw_name = directory[at + _CENTRAL.size : name_end]
            sizes = (fields[9], fields[8], fields[16])
            size, compressed_size, header_start = _zip64(sizes, directory[name_end:extra_end])
            if fields[3] & _ENCRYPTED:
                raise ArchiveError(f"{self.name}: member {raw_name!r} is encrypted; save it plain")
            yield Entry(
                name=self._safe_name(raw_name, is_utf8=bool(fields[3] & _UTF8)),
                method=fields[4],
                crc=fields[7],
                compressed_size=compressed_size,
                size=size,
                header_start=header_start,
                raw_name=raw_name,
            )
            at = extra_end + comment_size
        if at != len(directory):
            raise ArchiveError(f"{self.name}: the ZIP directory is damaged")

    def _safe_name(self, raw: bytes, *, is_utf8: bool) -> str:
        if len(raw) > NAME_SIZE_MAX:
            raise SizeLimitError(f"{self.name}: a member name of {len(raw)} B, {NAME_SIZE_MAX} max")
        try:
            name = raw.decode("utf-8" if is_utf8 or not raw.isascii() else "ascii")
        except UnicodeDecodeError:
            name = raw.decode("cp437")
        name = name.replace("\\", "/").removeprefix("./")
        parts = name.removesuffix("/").split("/")
        unsafe = any(part in ("", ".", "..") or ":" in part for part in parts)
        if unsafe or any(ord(character) < 32 for character in name):
            raise ArchiveError(f"{self.name}: unsafe member name {name!r}")
        if len(parts) > PATH_DEPTH_MAX:
            raise SizeLimitError(f"{self.name}: {name!r} is nested deeper than {PATH_DEPTH_MAX}")
        return name

    def _admit(self, entry: Entry) -> None:
        if entry.name in self.entries:
            raise ArchiveError(f"{self._of(entry)} is there twice")
        if entry.method not in (STORED, DEFLATED):
            raise ArchiveError(
                f"{self._of(entry)}: compression method {entry.method}; .smlm allows DEFLATE"
            )
        if entry.method == STORED and entry.size != entry.compressed_size:
            raise ArchiveError(f"{self._of(entry)}: stored, but its two sizes differ")
        if entry.header_start + entry.compressed_size > self._size:
            raise ArchiveError(f"{self._of(entry)}: ends beyond the file; it is probably cut short")
        self.entries[entry.name] = entry
        self._total += entry.size
        if (
            self._total > max(RATIO_FREE_SIZE, self._size * RATIO_MAX)
            or entry.size > ENTRY_SIZE_MAX
        ):
            raise SizeLimitError(
                f"{self.name}: {self._total} B from a file of {self._size} B; at most"
                f" {RATIO_MAX} times and {ENTRY_SIZE_MAX} B in one member allowed"
            )

    def _refuse_overlap(self, directory_start: int) -> None:
        end, before = 0, ""
        for entry in sorted(self.entries.values(), key=lambda entry: entry.header_start):
            if entry.header_start < end:
                raise ArchiveError(f"{self._of(entry)} overlaps {before!r}")
            end = entry.header_start + _LOCAL.size + len(entry.raw_name) + entry.compressed_size
            before = entry.name
        if end > directory_start:
            raise ArchiveError(f"{self.name}: member {before!r} overlaps the ZIP directory")


def _zip64(sizes: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """Replace the sizes that say "see ZIP64" by those of the extra field, if it is there."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = iter(struct.iter_unpack("<Q", extra[at + 4 : at + 4 + length // 8 * 8]))
            size, compressed_size, start = (
                next(values, (value,))[0] if value == _U32 else value for value in sizes
            )
            return size, compressed_size, start
        at += 4 + length
    return sizes
