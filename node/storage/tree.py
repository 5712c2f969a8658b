"""The Merkle tree of a stored blob, kept beside it in one small file."""

import hashlib
import os
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from node.errors import DamagedError
from protocol.merkle import DIGEST_SIZE, MerkleBuilder, coarser_layer, piece_hash

__all__ = ["PIECE_LENGTH", "StoredBlob", "Tree", "TreeCache", "write_synced"]

PIECE_LENGTH = 1 << 16  # 32 bytes are kept for each: a two-thousandth of the blob.
CACHE_SIZE_MAX = 32 << 20
_READ_SIZE = 1 << 20
# A tree file: magic, SHA-256 of what follows, size, root, layer.
_MAGIC = b"LMTREE1\n"
_FIELDS = "<Q32s"
_FIELDS_START = len(_MAGIC) + DIGEST_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """What a blob is called, how long it is, and the root of its Merkle tree (hex)."""

    sha256: str
    size: int
    merkle_root: str


class Tree:
    """The root of a blob's Merkle tree and its layer for pieces of PIECE_LENGTH."""

    def __init__(self, *, size: int, root: bytes, layer: bytes) -> None:
        self.size = size
        self.root = root
        self._layer = layer

    @classmethod
    def of(cls, builder: MerkleBuilder) -> Self:
        """Return the tree of what the builder was given; its finest must be PIECE_LENGTH."""
        return cls(size=builder.size, root=builder.root(), layer=builder.layer(PIECE_LENGTH))

    @classmethod
    def measured(cls, file: BinaryIO) -> tuple[str, Self]:
        """Return the SHA-256 (hex) and the tree of all of a file."""
        digest, builder = hashlib.sha256(), MerkleBuilder(finest=PIECE_LENGTH)
        while data := file.read(_READ_SIZE):
            digest.update(data)
            builder.update(data)
        return digest.hexdigest(), cls.of(builder)

    def to_bytes(self) -> bytes:
        """Return the form that is kept in a file."""
        fields = struct.pack(_FIELDS, self.size, self.root) + self._layer
        return _MAGIC + hashlib.sha256(fields).digest() + fields

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the form that is kept in a file.

        Raises:
            DamagedError: The bytes are not what was written.
        """
        fields = data[_FIELDS_START:]
        if not data.startswith(_MAGIC) or len(fields) < struct.calcsize(_FIELDS):
            raise DamagedError("its tree file is none")
        if data[len(_MAGIC) : _FIELDS_START] != hashlib.sha256(fields).digest():
            raise DamagedError("its tree file does not match its checksum")
        size, root = struct.unpack_from(_FIELDS, fields)
        return cls(size=size, root=root, layer=fields[struct.calcsize(_FIELDS) :])

    def first_bad_piece(self, data: bytes, *, base: int) -> int | None:
        """Return the index of the first piece that is not the blob's, or None if all are.

        Args:
            data: Bytes of the blob from `base`, a multiple of PIECE_LENGTH, up to the end of a
                piece or of the blob.
            base: Where they start.
        """
        is_only = self.size <= PIECE_LENGTH
        for offset in range(0, len(data), PIECE_LENGTH):
            piece = data[offset : offset + PIECE_LENGTH]
            index = (base + offset) // PIECE_LENGTH
            node = piece_hash(piece, piece_length=PIECE_LENGTH, is_only=is_only)
            if node != self._layer[DIGEST_SIZE * index : DIGEST_SIZE * (index + 1)]:
                return index
        return None

    def layer_at(self, piece_length: int) -> bytes:
        """Return the layer for pieces of a power of two times PIECE_LENGTH."""
        return coarser_layer(
            self._layer, size=self.size, piece_length=PIECE_LENGTH, wanted_length=piece_length
        )

    @property
    def weight(self) -> int:
        """About how many bytes of memory the tree takes."""
        return 256 + len(self._layer)


class TreeCache:
    """The trees used last, up to a size. Safe in threads."""

    def __init__(self) -> None:
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, sha256: str) -> Tree | None:
        """Return a tree if it is here."""
        with self._lock:
            tree = self._trees.get(sha256)
            if tree is not None:
                self._trees.move_to_end(sha256)
            return tree

    def put(self, sha256: str, tree: Tree) -> None:
        """Keep a tree; what was used longest ago makes room."""
        self.forget(sha256)
        with self._lock:
            self._trees[sha256] = tree
            self._size += tree.weight
            while self._size > CACHE_SIZE_MAX and len(self._trees) > 1:
                self._size -= self._trees.popitem(last=False)[1].weight

    def forget(self, sha256: str) -> None:
        """Drop a tree if it is here."""
        with self._lock:
            tree = self._trees.pop(sha256, None)
            if tree is not None:
                self._size -= tree.weight


def write_synced(path: Path, data: bytes, *, temporary: Path) -> None:
    """Write a small file so that it is there whole or not at all, even if the power goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
