"""Writing ZIP archives member by member, with ZIP64 where a size needs it.

Sizes and checksums are put into the local headers afterwards, so that every reader, also one
that reads from front to back, finds them where it looks first. No data descriptors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

__all__ = ["Member", "ZipWriter"]

DEFLATED = 8
_VERSION = 20
_VERSION64 = 45
_UTF8 = 0x0800
# 1 January 1980: the same data gives the same bytes whenever it is written.
_TIME, _DATE = 0, 0x21
_U16 = 0xFFFF
_U32 = 0xFFFFFFFF
# A member that may grow beyond 4 GiB gets room for ZIP64 sizes in its local header.
_LARGE = 0xF0000000


@dataclass(slots=True, kw_only=True)
class Member:
    """A member being written."""

    name: bytes
    start: int
    is_large: bool
    crc: int = 0
    compressed_size: int = 0
    size: int = 0


class ZipWriter:
    """A ZIP archive on a seekable file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: list[Member] = []

    def begin(self, name: str, *, size_max: int) -> Member:
        """Start a member of at most `size_max` bytes raw; write its data to the file itself."""
        member = Member(name=name.encode(), start=self._file.tell(), is_large=size_max >= _LARGE)
        self._members.append(member)
        self._file.write(self._local_header(member))
        return member

    def end(self, member: Member) -> None:
        """Put the member's crc and sizes, now set, into its local header."""
        end = self._file.tell()
        self._file.seek(member.start)
        self._file.write(self._local_header(member))
        self._file.seek(end)

    def add(self, name: str, data: bytes) -> None:
        """Write a small member, deflated."""
        member = self.begin(name, size_max=len(data))
        stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        body = stream.compress(data) + stream.flush()
        self._file.write(body)
        member.crc = isal_zlib.crc32(data)
        member.size, member.compressed_size = len(data), len(body)
        self.end(member)

    def close(self) -> None:
        """Write the directory."""
        start = self._file.tell()
        for member in self._members:
            self._file.write(self._central_header(member))
        size = self._file.tell() - start
        count = len(self._members)
        if start > _U32 - 1 or size > _U32 - 1 or count > _U16 - 1:
            self._write_end64(start, size, count)
            start, count = _U32, min(count, _U16)
        self._file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, start, 0))

    def _write_end64(self, start: int, size: int, count: int) -> None:
        end64 = self._file.tell()
        self._file.write(
            struct.pack(
                "<4sQ2H2I4Q", b"PK\6\6", 44, _VERSION64, _VERSION64, 0, 0, count, count, size, start
            )
        )
        self._file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end64, 1))

    def _local_header(self, member: Member) -> bytes:
        version, extra = _VERSION, b""
        sizes = (member.compressed_size, member.size)
        if member.is_large:
            version = _VERSION64
            extra = struct.pack("<2H2Q", 1, 16, member.size, member.compressed_size)
            sizes = (_U32, _U32)
        header = struct.pack(
            "<4s5H3I2H",
            b"PK\3\4",
            version,
            _UTF8,
            DEFLATED,
            _TIME,
            _DATE,
            member.crc,
            *sizes,
            len(member.name),
            len(extra),
        )
        return header + member.name + extra

    def _central_header(self, member: Member) -> bytes:
        values = (member.size, member.compressed_size, member.start)
        large = [value for value in values if value >= _U32]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        size, compressed_size, start = (min(value, _U32) for value in values)
        is_large = bool(large) or member.is_large
        version = _VERSION64 if is_large else _VERSION
        header = struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            version,
            version,
            _UTF8,
            DEFLATED,
            _TIME,
            _DATE,
            member.crc,
            compressed_size,
            size,
            len(member.name),
            len(extra),
            0,
            0,
            0,
            0,
            start,
        )
        return header + member.name + extra
