"""Say what an HDF5 file holds and where its bytes lie. Runs as a process of its own.

Theory of operation: libhdf5 does not survive every damaged file. One changed byte can make it loop
for ever or crash, and neither can be stopped from within. So `smlmfmt.hdf5.process` runs this
module as a script in another process, which sees nothing but the bytes that it asks for, one block
at a time, over a pipe, and answers with a description in JSON. The rows themselves never pass
through libhdf5: the parent reads them at the offsets given here.

The script imports nothing of smlmfmt, so that it starts quickly.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import functools
import io
import json
import math
import struct
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

__all__ = ["describe"]

ANSWER = -1  # Instead of a block's number: what follows is the answer.

OBJECT_COUNT_MAX = 4096
DEPTH_MAX = 3
CHUNK_COUNT_MAX = 1 << 20
FIELD_COUNT_MAX = 4096
FIELD_DEPTH_MAX = 4
ELEMENT_COUNT_MAX = 64
ATTRIBUTE_COUNT_MAX = 512
ATTRIBUTE_SIZE_MAX = 64 << 10
INLINE_SIZE_MAX = 64 << 10
TEXT_SIZE_MAX = 4 << 20
MEMORY_SIZE_MAX = 2 << 30
CPU_SECONDS_MAX = 10

_CACHED_BLOCKS = 256
_TYPES = {
    f"{order}{kind}{size}": getattr(h5t, f"{family}{8 * size}{'LE' if order == '<' else 'BE'}")
    for kind, family, sizes in (
        ("i", "STD_I", (1, 2, 4, 8)),
        ("u", "STD_U", (1, 2, 4, 8)),
        ("f", "IEEE_F", (2, 4, 8)),
    )
    for size in sizes
    for order in "<>"
}


class Blocks(io.RawIOBase):
    """A file whose bytes another process hands out, block by block."""

    def __init__(self, requests: BinaryIO, blocks: BinaryIO) -> None:
        self._requests = requests
        self._blocks = blocks
        self._size, self._block_size = struct.unpack("<QQ", blocks.read(16))
        self._at = 0
        self._block = functools.lru_cache(_CACHED_BLOCKS)(self._fetch)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self._size:
            index, start = divmod(self._at, self._block_size)
            piece = self._block(index)[start : start + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        view[done:] = bytes(len(view) - done)
        return done

    def _fetch(self, index: int) -> bytes:
        self._requests.write(struct.pack("<q", index))
        self._requests.flush()
        size = min(self._block_size, self._size - index * self._block_size)
        data = self._blocks.read(size)
        if len(data) != size:
            raise OSError("the file ended while it was read")
        return data


def describe(file: Any) -> dict[str, Any]:
    """Return what an HDF5 file holds: its groups and datasets down to a depth, as plain JSON.

    Only hard links are followed: a soft or external one may lead anywhere.

    Raises:
        OSError: libhdf5 cannot open it.
    """
    objects: dict[str, Any] = {}
    with h5py.File(file, "r") as opened:
        root = opened["/"].id
        todo = deque([("", root, 0)])
        with contextlib.suppress(Exception):
            objects["/"] = {"attributes": _attributes(root)}
        while todo and len(objects) < OBJECT_COUNT_MAX:
            path, group, depth = todo.popleft()
            for name in _names(group):
                if len(objects) >= OBJECT_COUNT_MAX:
                    break
                child = f"{path}/{name.decode('utf-8', 'replace')}"
                try:
                    found = h5o.open(group, name)
                    objects[child] = _object(found)
                except Exception as error:  # noqa: BLE001 - whatever h5py makes of damage.
                    objects[child] = {"problem": str(error)[:200]}
                    continue
                if isinstance(found, h5g.GroupID) and depth + 1 < DEPTH_MAX:
                    todo.append((child, found, depth + 1))
    return {"objects": objects}


def _names(group: Any) -> list[bytes]:
    """Return the names of a group's hard links, of which no more are looked at than are kept."""
    names: list[bytes] = []
    count = 0

    def see(name: bytes, info: Any) -> bool | None:
        nonlocal count
        count += 1
        if info.type == h5l.TYPE_HARD:
            names.append(name)
        return True if count >= OBJECT_COUNT_MAX else None

    with contextlib.suppress(Exception):
        group.links.iterate(see, info=True)
    return names


def _object(found: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"attributes": _attributes(found)}
    if isinstance(found, h5d.DatasetID):
        about["dataset"] = _dataset(found)
    return about


def _dataset(dataset: Any) -> dict[str, Any]:
    space, kind, plan = dataset.get_space(), dataset.get_type(), dataset.get_create_plist()
    is_null = space.get_simple_extent_type() == h5s.NULL
    shape = None if is_null else list(space.get_simple_extent_dims())
    about: dict[str, Any] = {"shape": shape, "item_size": kind.get_size()}
    if isinstance(kind, h5t.TypeStringID):
        about["text"] = _text(dataset, kind, shape)
        return about
    about["fields"], about["left_out"] = _fields(kind)
    if plan.get_external_count():
        about["problem"] = "its rows lie in another file"
        return about
    layout = plan.get_layout()
    if layout == h5d.CONTIGUOUS:
        about["offset"] = dataset.get_offset() if dataset.get_storage_size() else None
    elif layout == h5d.CHUNKED:
        about["chunk_shape"] = list(plan.get_chunk())
        about["filters"] = [_filter(plan, index) for index in range(plan.get_nfilters())]
        about["chunks"] = _chunks(dataset)
    elif layout == h5d.COMPACT and dataset.get_storage_size() <= INLINE_SIZE_MAX:
        about["inline"] = _inline(dataset, kind, shape)
    else:
        about["problem"] = "it is put together from other datasets"
    return about


def _filter(plan: Any, index: int) -> list[Any]:
    code, _, values, name = plan.get_filter(index)
    return [int(code), [int(value) for value in values[:8]], name.decode("utf-8", "replace")]


def _chunks(dataset: Any) -> list[int]:
    """Return of each chunk where it begins in the dataset and in the file, its size and mask."""
    flat: list[int] = []
    count = 0

    def see(chunk: Any) -> bool | None:
        nonlocal count
        count += 1
        flat.extend((*chunk.chunk_offset, chunk.byte_offset, chunk.size, chunk.filter_mask))
        return True if count >= CHUNK_COUNT_MAX else None

    dataset.chunk_iter(see)
    return flat


def _inline(dataset: Any, kind: Any, shape: list[int] | None) -> str:
    """Return the bytes of a dataset that lies inside its own header."""
    count = math.prod(shape or [1])
    if shape is None or count * kind.get_size() > INLINE_SIZE_MAX:
        return ""
    buffer = bytearray(count * kind.get_size())
    if buffer and _is_flat(kind):
        import numpy as np  # noqa: PLC0415 - h5py has it loaded already.

        values = np.frombuffer(buffer, f"V{kind.get_size()}")
        dataset.read(h5s.ALL, h5s.ALL, values.reshape(shape), kind)
    return base64.b64encode(buffer).decode()


def _is_flat(kind: Any) -> bool:
    """Say whether values of a type hold no pointers, so that their bytes are all there is."""
    return not (
        kind.detect_class(h5t.VLEN)
        or kind.detect_class(h5t.REFERENCE)
        or kind.detect_class(h5t.STRING)
    )


def _fields(kind: Any) -> tuple[list[list[Any]], list[str]]:
    """Return name, offset and numpy's code of the numbers in a value, and what is none."""
    fields: list[list[Any]] = []
    left_out: list[str] = []
    for name, offset, code in _leaves(kind, "", offset=0, depth=FIELD_DEPTH_MAX):
        if len(fields) + len(left_out) >= FIELD_COUNT_MAX:
            break
        if code:
            fields.append([name, offset, code])
        else:
            left_out.append(name)
    return fields, left_out


def _leaves(kind: Any, name: str, *, offset: int, depth: int) -> Iterator[tuple[str, int, str]]:
    if isinstance(kind, h5t.TypeCompoundID) and depth:
        for index in range(min(kind.get_nmembers(), FIELD_COUNT_MAX)):
            inner = kind.get_member_name(index).decode("utf-8", "replace")
            yield from _leaves(
                kind.get_member_type(index),
                f"{name}_{inner}" if name else inner,
                offset=offset + kind.get_member_offset(index),
                depth=depth - 1,
            )
    elif isinstance(kind, h5t.TypeArrayID) and depth:
        inner_kind, count = kind.get_super(), math.prod(kind.get_array_dims())
        if count > ELEMENT_COUNT_MAX:
            yield name, offset, ""
            return
        for index in range(count):
            start = offset + index * inner_kind.get_size()
            yield from _leaves(inner_kind, f"{name}_{index}", offset=start, depth=depth - 1)
    else:
        yield name, offset, _code(kind)


def _code(kind: Any) -> str:
    """Return numpy's code of a plain number's type, "" for anything else."""
    if isinstance(kind, h5t.TypeEnumID):
        kind = kind.get_super()
    return next((code for code, known in _TYPES.items() if known.equal(kind)), "")


def _text(dataset: Any, kind: Any, shape: list[int] | None) -> str | None:
    if shape is None or math.prod(shape) != 1:
        return None
    if not kind.is_variable_str() and kind.get_size() > TEXT_SIZE_MAX:
        return None
    value = h5py.Dataset(dataset)[() if not shape else (0,) * len(shape)]
    return _decoded(value, size_max=TEXT_SIZE_MAX)


def _decoded(value: Any, *, size_max: int) -> str | None:
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    if len(data) > size_max:
        return None
    try:
        text = data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return None
    return text


def _attributes(found: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index in range(min(h5a.get_num_attrs(found), ATTRIBUTE_COUNT_MAX)):
        with contextlib.suppress(Exception):
            attribute = h5a.open(found, index=index)
            value = _attribute(found, attribute)
            if value is not None:
                values[attribute.name.decode("utf-8", "replace")] = value
    return values


def _attribute(found: Any, attribute: Any) -> Any:
    if attribute.get_storage_size() > ATTRIBUTE_SIZE_MAX:
        return None
    if attribute.get_space().get_simple_extent_type() == h5s.NULL:
        return None
    value = h5py.AttributeManager(_Owner(found))[attribute.name]
    if isinstance(value, (bytes, str)):
        return _decoded(value, size_max=ATTRIBUTE_SIZE_MAX)
    if getattr(value, "dtype", None) is not None and value.dtype.kind in "biuf":
        return value.tolist()
    if getattr(value, "dtype", None) is not None and value.dtype.kind in "SO" and value.size <= 64:
        return [_decoded(item, size_max=ATTRIBUTE_SIZE_MAX) for item in value.ravel()]
    return None


class _Owner:
    """What h5py's attribute reader asks of the object whose attributes it reads."""

    def __init__(self, found: Any) -> None:
        self.id = found


def _confine() -> None:
    """Take from this process what it does not need: memory, time, and other files."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, where the parent's clock must do.
    except ImportError:
        return
    for encoding in ("ascii", "latin-1", "utf-8"):
        codecs.lookup(encoding)  # Python loads these from files when they are first needed.
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_SIZE_MAX),
        (resource.RLIMIT_CPU, CPU_SECONDS_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def main() -> None:
    """Describe the file whose size comes first on standard input, then its blocks as asked for."""
    requests = sys.stdout.buffer
    file = Blocks(requests, sys.stdin.buffer)
    _confine()
    try:
        answer = describe(file)
    except (Exception, RecursionError) as error:  # noqa: BLE001 - told to the parent, which raises.
        answer = {"problem": f"{error}"[:300] or type(error).__name__}
    body = json.dumps(answer).encode()
    requests.write(struct.pack("<qQ", ANSWER, len(body)) + body)
    requests.flush()


if __name__ == "__main__":
    main()
