"""Archives that were damaged, or made to do damage."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from smlmfmt.errors import ArchiveError, FormatError, SizeLimitError
from smlmfmt.smlm import archive as smlm_archive
from smlmfmt.smlm.archive import Archive
from tests.smlmfmt.archives import ROWS, entry, manifest, pack, read, table


def opened(data: bytes) -> Archive:
    return Archive(io.BytesIO(data), name="a.smlm")


def patched(data: bytes, old: bytes, new: bytes, *, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


def central(data: bytes, index: int) -> int:
    """Where the index-th entry of the directory starts."""
    at = -1
    for _ in range(index + 1):
        at = data.index(b"PK\1\2", at + 1)
    return at


def with_field(data: bytes, *, at: int, value: int, size: int = 4) -> bytes:
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def test_members_are_listed_and_read() -> None:
    archive = opened(pack(members={"a.bin": b"abc" * 1000, "b/c.txt": b""}))
    assert list(archive.entries) == ["a.bin", "b/c.txt", "manifest.json"]
    assert b"".join(archive.stream(archive.entries["a.bin"])) == b"abc" * 1000
    assert archive.read(archive.entries["b/c.txt"], size_max=0) == b""


def test_bytes_before_and_after_are_refused_or_harmless() -> None:
    data = pack()
    with pytest.raises(ArchiveError):
        read(b"x" * 10 + data)
    assert len(table(data + b"x" * 10)) == 3  # Only a comment may follow; nothing is lost.


@pytest.mark.parametrize("size", [0, 1, 21, 22, 60, 100, 300])
def test_cut_short(size: int) -> None:
    with pytest.raises(ArchiveError, match=r"a\.smlm"):
        opened(pack()[:size])


def test_every_shorter_file_is_refused() -> None:
    data = pack()
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read(data[:size])


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/etc/passwd",
        "a/../../b",
        "C:/x",
        "a//b",
        "a/./b",
        "..\\x",
        "a\nb",
        "\\\\host\\x",
        "..",
    ],
)
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(ArchiveError, match="unsafe"):
        opened(pack(members={name: b""}))


def test_deep_paths_and_long_names() -> None:
    with pytest.raises(SizeLimitError, match="nested"):
        opened(pack(members={"a/" * 40 + "b": b""}))
    with pytest.raises(SizeLimitError, match="name"):
        opened(pack(members={"a" * 2000: b""}))


def test_folders_are_fine() -> None:
    assert opened(pack(members={"a/": b"", "a/b.bin": b"x"})).entries["a/"].is_directory


def test_member_twice() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(ArchiveError, match="twice"):
        opened(file.getvalue())


def test_too_many_members() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for index in range(smlm_archive.ENTRY_COUNT_MAX + 1):
            archive.writestr(f"{index}", b"")
    with pytest.raises(SizeLimitError, match="members"):
        opened(file.getvalue())


def test_directory_count_that_lies() -> None:
    data = pack()
    end = data.rindex(b"PK\5\6")
    with pytest.raises(SizeLimitError):
        opened(with_field(data, at=end + 10, value=60_000, size=2))


def test_bomb_is_refused_before_it_is_inflated() -> None:
    data = pack(members={"a.bin": bytes(100 << 20)})
    with pytest.raises(SizeLimitError, match="times"):
        opened(data)


def test_many_small_bombs_are_one_large_one() -> None:
    data = pack(members={f"{index}.bin": bytes(10 << 20) for index in range(8)})
    with pytest.raises(SizeLimitError, match="times"):
        opened(data)


def test_declared_size_that_lies() -> None:
    # The directory says 36 bytes; the stream holds a thousand times that.
    data = pack(manifest(), {"a.bin": bytes(36_000)})
    at = central(data, 0)
    with pytest.raises(ArchiveError, match="more than"):
        read(with_field(data, at=at + 24, value=36))
    more = with_field(data, at=at + 24, value=72_000)
    with pytest.raises(ArchiveError, match="instead of"):
        read(_with_rows(more, 6000))


def _with_rows(data: bytes, rows: int) -> bytes:
    """The same first member under a manifest that promises other rows."""
    other = pack(manifest(files=[entry(rows=rows)]), {"a.bin": bytes(36_000)})
    at = central(data, 0)
    return with_field(
        other, at=central(other, 0) + 24, value=struct.unpack_from("<I", data, at + 24)[0]
    )


def test_flipped_byte_in_a_table() -> None:
    data = bytearray(pack(compression=zipfile.ZIP_STORED))
    data[data.index(ROWS.tobytes()) + 5] ^= 1
    with pytest.raises(ArchiveError, match="checksum"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: with_field(d, at=central(d, 0) + 8, value=1, size=2), "encrypted"),
        (lambda d: with_field(d, at=central(d, 0) + 10, value=14, size=2), "method 14"),
        (lambda d: with_field(d, at=central(d, 0) + 10, value=0, size=2), "two sizes differ"),
        (lambda d: with_field(d, at=central(d, 1) + 42, value=0), "overlaps"),
        (lambda d: with_field(d, at=central(d, 1) + 42, value=10**6), "beyond the file"),
        (lambda d: with_field(d, at=d.rindex(b"PK\5\6") + 4, value=1, size=2), "several parts"),
        (lambda d: with_field(d, at=d.rindex(b"PK\5\6") + 16, value=10**6), "outside the file"),
        (lambda d: with_field(d, at=d.rindex(b"PK\5\6") + 16, value=1), "directory is damaged"),
        (lambda d: with_field(d, at=central(d, 1) + 28, value=60_000, size=2), "cut short"),
    ],
)
def test_directories_that_break_the_rules(change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        opened(change(pack(members={"a.bin": b"a" * 500})))


def test_local_header_of_another_name() -> None:
    data = patched(pack(), b"a.bin", b"b.bin", count=1)
    with pytest.raises(ArchiveError, match="another name"):
        read(data)


def test_local_header_is_missing() -> None:
    with pytest.raises(ArchiveError, match="no local header"):
        read(patched(pack(), b"PK\3\4", b"PK\3\5", count=1))


def test_data_descriptors_as_java_writes_them() -> None:
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = raw.compress(ROWS.tobytes()) + raw.flush()
    crc = zlib.crc32(ROWS.tobytes())
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, 5, 0) + b"a.bin"
    after = struct.pack("<4s3I", b"PK\7\10", crc, len(body), 36)
    directory = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 8, 8, 0, 0, crc, len(body), 36, 5, 0, 0, 0, 0, 0, 0
    ) + b"a.bin"  # fmt: skip
    start = len(local) + len(body) + len(after)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), start, 0)
    archive = opened(local + body + after + directory + end)
    assert b"".join(archive.stream(archive.entries["a.bin"])) == ROWS.tobytes()


def test_zip64_fields_are_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.bin", "w", force_zip64=True) as member:
            member.write(ROWS.tobytes())
        archive.writestr("manifest.json", pack()[:0] or b"{}")
    found = opened(file.getvalue())
    assert found.read(found.entries["a.bin"], size_max=100) == ROWS.tobytes()


def zip64_directory(data: bytes, *, count: int | None = None, start: int | None = None) -> bytes:
    """The same archive with a ZIP64 end record that counts."""
    end = data.rindex(b"PK\5\6")
    _, _, _, total, _, size, first, _ = struct.unpack_from("<4s4H2IH", data, end)
    where = first if start is None else start
    fields = (44, 45, 45, 0, 0, total, count or total, size, where)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", *fields)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    plain = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0
    )
    return data[:end] + record + locator + plain


def test_zip64_directory_is_read() -> None:
    assert len(table(zip64_directory(pack()))) == 3


def test_zip64_directory_that_lies() -> None:
    with pytest.raises(SizeLimitError):
        opened(zip64_directory(pack(), count=1 << 60))
    with pytest.raises(ArchiveError):
        opened(zip64_directory(pack(), start=1 << 60))
    data = zip64_directory(pack())
    with pytest.raises(ArchiveError, match="ZIP64"):
        opened(with_field(data, at=data.rindex(b"PK\6\7") + 8, value=1 << 60, size=8))
    with pytest.raises(ArchiveError, match="ZIP64"):
        opened(patched(data, b"PK\6\6", b"PK\6\5"))


def test_nested_archives_are_not_opened() -> None:
    with pytest.raises(ArchiveError, match=r"no manifest\.json"):
        read(pack(b"{}", members={"inner.smlm": pack()}, name="other.json"))


def test_huge_promise_allocates_nothing() -> None:
    # 2^60 bytes promised in a file of 500: refused by ratio, long before a row is asked for.
    data = pack()
    with pytest.raises(SizeLimitError):
        read(with_field(data, at=central(data, 0) + 24, value=0xFFFFFFF0))
