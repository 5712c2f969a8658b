"""ASDF files, as far as tables of numbers need them: a YAML tree and blocks of bytes.

Written here because what Locan writes is a small part of ASDF, and the whole of it is a plug-in
system with schemas that is too much to let a stranger's file drive. The tree is built from the
YAML parser's events: tags are passed over, aliases refused, nothing is constructed but texts,
numbers, lists and dictionaries.

Source: ASDF Standard 1.6.0, "Low-level file layout"; YAML 1.1.
"""

from __future__ import annotations

import bz2
import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate
from smlmfmt.errors import ArchiveError, HeaderError, SizeLimitError

if TYPE_CHECKING:
    import yaml

__all__ = ["MAGIC", "AsdfFile"]

MAGIC = b"#ASDF "

TREE_SIZE_MAX = 2 << 20
TREE_DEPTH_MAX = 32
BLOCK_COUNT_MAX = 64
DIMENSION_COUNT_MAX = 4
# As for ZIP archives: measured arrays compress less than tenfold.
RATIO_MAX = 250
RATIO_FREE_SIZE = 64 << 20

_BLOCK_MAGIC = b"\xd3BLK"
_BLOCK = struct.Struct(">I4sQQQ16s")
_STREAMED = 1
_TREE_END = re.compile(rb"\r?\n\.\.\.\r?\n")
_DTYPES = {"int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "uint8": "u1",
           "uint16": "u2", "uint32": "u4", "uint64": "u8", "float32": "f4", "float64": "f8",
           "float16": "f2", "bool8": "?"}  # fmt: skip
_ORDERS = {"little": "<", "big": ">"}
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False,
                          ".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    compression: bytes
    start: int
    used_size: int
    data_size: int


class AsdfFile:
    """A file's tree, and the arrays it refers to.

    Attributes:
        tree: Texts, numbers, lists and dictionaries.

    Raises:
        ArchiveError: The file is no ASDF file, or cut short.
        HeaderError: Its tree is no YAML mapping.
        SizeLimitError: The tree is larger or nested deeper than a reader grants.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self._file = file
        self._name = name
        self._size = file.seek(0, 2)
        file.seek(0)
        head = file.read(TREE_SIZE_MAX)
        if not head.startswith(MAGIC):
            raise ArchiveError(f"{name}: no ASDF file")
        end = _TREE_END.search(head)
        if end is None:
            if len(head) == TREE_SIZE_MAX:
                raise SizeLimitError(f"{name}: a tree of more than {TREE_SIZE_MAX} B")
            raise ArchiveError(f"{name}: the tree does not end; the file is cut short")
        tree = _parsed(head[: end.start() + 1], name)
        if not isinstance(tree, dict):
            raise HeaderError(f"{name}: the tree must be a mapping")
        self.tree: dict[str, Any] = tree
        self._blocks_start = end.end()

    def array(self, node: object, *, where: str) -> npt.NDArray[Any]:
        """Return the array that a node of the tree describes.

        Args:
            node: A mapping as the tag core/ndarray has it, its numbers in a block of the file.
            where: What the array is, for messages.

        Raises:
            ArchiveError: The block is damaged, or smaller than the array needs.
            HeaderError: The node describes no array of numbers.
            SizeLimitError: The block inflates to more than a reader grants.
        """
        what = f"{self._name}: {where}"
        if not isinstance(node, dict) or not isinstance(node.get("source"), int):
            raise HeaderError(f"{what} must be an array kept in a block of the file")
        dtype = _dtype(node, what)
        shape = _whole_numbers(node.get("shape"), f"{what}: shape")
        offset = _whole_numbers([node.get("offset", 0)], f"{what}: offset")[0]
        data = self._content(node["source"], what)
        given = node.get("strides")
        if given is None:
            strides = [
                dtype.itemsize * math.prod(shape[place + 1 :]) for place in range(len(shape))
            ]
        else:
            strides = _whole_numbers(given, f"{what}: strides")
        if not math.prod(shape):
            return np.empty(shape if max(shape, default=0) <= len(data) else 0, dtype)
        reach = sum((length - 1) * step for length, step in zip(shape, strides, strict=False))
        needed = max(offset + reach + dtype.itemsize, math.prod(shape) * dtype.itemsize)
        if len(strides) != len(shape) or needed > len(data):
            raise ArchiveError(f"{what} needs {needed} B, but its block has {len(data)} B")
        return np.ndarray(tuple(shape), dtype, data, offset, tuple(strides))

    def _content(self, index: int, what: str) -> bytes:
        for number, block in enumerate(self._blocks()):
            if number == index:
                return self._inflated(block, what)
        raise ArchiveError(f"{what}: there is no block {index}; the file is cut short")

    def _blocks(self) -> Iterator[_Block]:
        at = self._blocks_start
        for _ in range(BLOCK_COUNT_MAX):
            self._file.seek(at)
            head = self._file.read(6)
            if head[:4] != _BLOCK_MAGIC or len(head) < 6:
                return
            (header_size,) = struct.unpack(">H", head[4:])
            header = self._file.read(_BLOCK.size)
            if header_size < _BLOCK.size or len(header) < _BLOCK.size:
                raise ArchiveError(f"{self._name}: a block's header is damaged")
            flags, compression, room, used_size, data_size, _ = _BLOCK.unpack(header)
            start = at + 6 + header_size
            if flags & _STREAMED or used_size > room or start + used_size > self._size:
                raise ArchiveError(f"{self._name}: a block ends beyond the file; it is cut short")
            yield _Block(
                compression=compression, start=start, used_size=used_size, data_size=data_size
            )
            at = start + room

    def _inflated(self, block: _Block, what: str) -> bytes:
        pieces = self._raw(block)
        if block.compression == b"zlib":
            pieces = deflate.inflate(pieces, has_header=True)
        elif block.compression == b"bzp2":
            pieces = _bunzipped(pieces)
        elif block.compression != bytes(4):
            kind = block.compression.decode("latin-1")
            raise ArchiveError(f"{what}: compressed with {kind!r}; save it with zlib, bzp2 or none")
        granted = min(block.data_size, max(RATIO_FREE_SIZE, RATIO_MAX * self._size))
        data = bytearray()
        try:
            for piece in pieces:
                data += piece
                if len(data) > granted:
                    raise SizeLimitError(
                        f"{what}: its block holds more than the {granted} B it says or may hold"
                    )
        except deflate.DeflateError as error:
            raise ArchiveError(f"{what}: its block is damaged: {error}") from error
        return bytes(data)

    def _raw(self, block: _Block) -> Iterator[bytes]:
        at, end = block.start, block.start + block.used_size
        while at < end:
            self._file.seek(at)
            piece = self._file.read(min(deflate.CHUNK_SIZE, end - at))
            if not piece:
                raise ArchiveError(f"{self._name}: the file ended while it was read")
            at += len(piece)
            yield piece


def _bunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    for chunk in chunks:
        data = chunk
        while not stream.eof:
            try:
                piece = stream.decompress(data, deflate.PIECE_SIZE_MAX)
            except OSError as error:
                raise deflate.DeflateError(f"not a bzip2 stream ({error})") from error
            yield piece
            data = b""
            if stream.needs_input or not piece:
                break


def _dtype(node: Mapping[str, Any], what: str) -> np.dtype[Any]:
    code, order = _DTYPES.get(str(node.get("datatype"))), _ORDERS.get(str(node.get("byteorder")))
    if code is None or order is None:
        raise HeaderError(f"{what}: datatype and byteorder must name a type of numbers")
    return np.dtype(order + code)


def _whole_numbers(values: object, what: str) -> list[int]:
    is_list = isinstance(values, list) and len(values) <= DIMENSION_COUNT_MAX
    if not isinstance(values, list) or not is_list:
        raise HeaderError(f"{what} must be a list of at most {DIMENSION_COUNT_MAX} numbers")
    if not all(type(value) is int and value >= 0 for value in values):
        raise HeaderError(f"{what} must be whole numbers that are not negative")
    return values


def _parsed(data: bytes, name: str) -> object:
    """Return what a YAML document says, without tags, aliases or types of YAML's own."""
    import yaml  # noqa: PLC0415 - not needed by who reads other files.

    root: list[Any] = []
    # Each open collection: what to put values into, and for a mapping the key that waits.
    open_ones: list[tuple[list[Any] | dict[str, Any], list[str]]] = [(root, [])]
    try:
        for event in yaml.parse(
            data.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        ):
            if isinstance(event, yaml.AliasEvent):
                raise HeaderError(f"{name}: the tree has YAML aliases, which are not read")
            if isinstance(event, yaml.ScalarEvent):
                _put(open_ones[-1], _scalar(event), name)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(open_ones) > TREE_DEPTH_MAX:
                    raise SizeLimitError(f"{name}: the tree is nested deeper than {TREE_DEPTH_MAX}")
                inner: list[Any] | dict[str, Any]
                inner = {} if isinstance(event, yaml.MappingStartEvent) else []
                _put(open_ones[-1], inner, name)
                open_ones.append((inner, []))
            elif isinstance(event, yaml.CollectionEndEvent):
                open_ones.pop()
    except (yaml.YAMLError, ValueError) as error:
        raise HeaderError(f"{name}: the tree is no YAML: {error}") from error
    return root[0] if root else None


def _put(place: tuple[list[Any] | dict[str, Any], list[str]], value: Any, name: str) -> None:
    into, waiting = place
    if isinstance(into, list):
        into.append(value)
    elif waiting:
        into[waiting.pop()] = value
    elif isinstance(value, dict | list):
        raise HeaderError(f"{name}: a key of the tree is no text")
    else:
        waiting.append(str(value))


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text  # In quotes.
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
