"""Merkle trees over blobs, exactly as BitTorrent v2 defines a file's `pieces root`.

The leaves are the SHA-256 of every 16 KiB of the blob; the last one is of what is left, not
padded. Leaves that are missing up to the next power of two are 32 zero bytes; every node above
is the SHA-256 of its two children. A *layer* for a piece length is the nodes that each cover one
piece, those wholly behind the blob's end left out. It is what makes a range from a stranger
verifiable: check the layer against the root once, then each piece against the layer.

Two cases that BEP 52 leaves to others are settled here. A blob of no bytes has the root SHA-256
of no bytes, as if it were one empty leaf, and its layers are empty: it has no pieces. A blob no
longer than one piece has a layer of one node, the root itself.

Source: BEP 52, sections "File tree" and "piece layers".
"""

from collections.abc import Sequence
from hashlib import sha256

from protocol.errors import LocalProtocolError, MalformedError

DIGEST_SIZE = 32
LEAF_SIZE = 16384
EMPTY_ROOT = sha256(b"").digest()
PIECE_LENGTH_MIN = 1 << 20
PIECE_COUNT_MAX = 4096

_ZERO_LEAF = bytes(DIGEST_SIZE)


def piece_length_for(size: int) -> int:
    """Return the piece length that every node uses for a blob of that size.

    It is 1 MiB, doubled until there are at most 4096 pieces.
    """
    length = PIECE_LENGTH_MIN
    while size > length * PIECE_COUNT_MAX:
        length *= 2
    return length


def piece_count(size: int, piece_length: int) -> int:
    """Return how many pieces a blob has; none if it is empty."""
    return -(-size // piece_length)


def piece_span(index: int, *, size: int, piece_length: int) -> tuple[int, int]:
    """Return the bytes [start, end) of a piece."""
    start = index * piece_length
    return start, min(start + piece_length, size)


class MerkleBuilder:
    """The tree of a blob that comes in parts of any size.

    Memory is 32 bytes for every `finest` bytes of the blob, whatever the parts: 32 KiB for a
    GiB at 1 MiB, 2 MiB at the default.
    """

    def __init__(self, *, finest: int = LEAF_SIZE) -> None:
        """Begin an empty blob.

        Args:
            finest: The shortest piece length that `layer` will be asked for: a power of two, at
                least 16 KiB.

        Raises:
            LocalProtocolError: It is not.
        """
        self._finest = finest
        self._finest_level = _level(finest)
        self._size = 0
        self._leaf = sha256()
        # Completed nodes below the finest layer, at most one a level, as a binary counter.
        self._pending: dict[int, bytes] = {}
        self._layer = bytearray()

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self._size

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes to the blob."""
        view = memoryview(data).cast("B")
        while len(view):
            part = view[: LEAF_SIZE - self._size % LEAF_SIZE]
            view = view[len(part) :]
            self._leaf.update(part)
            self._size += len(part)
            if self._size % LEAF_SIZE == 0:
                self._add_leaf(self._leaf.digest())
                self._leaf = sha256()

    def _add_leaf(self, node: bytes) -> None:
        level = 0
        while level < self._finest_level and level in self._pending:
            node = sha256(self._pending.pop(level) + node).digest()
            level += 1
        if level == self._finest_level:
            self._layer += node
        else:
            self._pending[level] = node

    def root(self) -> bytes:
        """Return the root of the blob so far; more may follow."""
        layer = self.layer(self._finest)
        return _layer_root(layer, level=self._finest_level) if layer else EMPTY_ROOT

    def layer(self, piece_length: int) -> bytes:
        """Return the layer of the blob so far: 32 bytes for each piece.

        Raises:
            LocalProtocolError: The piece length is shorter than the finest one, or no power of
                two.
        """
        level = _level(piece_length)
        if level < self._finest_level:
            raise LocalProtocolError(f"no layer of {piece_length} bytes: finest={self._finest}")
        finest = bytes(self._layer) + self._last_node()
        return coarser_layer(
            finest, size=self._size, piece_length=self._finest, wanted_length=piece_length
        )

    def _last_node(self) -> bytes:
        # The node of the finest layer over what has not filled one yet, or nothing.
        if self._size % self._finest == 0:
            return b""
        node = self._leaf.digest() if self._size % LEAF_SIZE else None
        # A blob that is shorter than one piece has a tree of its own, lower height.
        height = self._finest_level if self._layer else _height(self._size)
        for level in range(height):
            left = self._pending.get(level)
            if left is not None:
                node = sha256(left + (node or _padding(level))).digest()
            elif node is not None:
                node = sha256(node + _padding(level)).digest()
        return node or self._pending[height]


def root_of(data: bytes | bytearray | memoryview) -> bytes:
    """Return the root of a whole blob."""
    builder = MerkleBuilder(finest=piece_length_for(len(data)))
    builder.update(data)
    return builder.root()


def piece_hash(
    data: bytes | bytearray | memoryview, *, piece_length: int, is_only: bool = False
) -> bytes:
    """Return the node over one piece.

    Args:
        data: The piece, at most `piece_length` bytes and at least one.
        piece_length: As the layer's.
        is_only: The piece is the whole blob, whose node is the root.

    Raises:
        LocalProtocolError: The size or the piece length is not as said.
    """
    if not 0 < len(data) <= piece_length:
        raise LocalProtocolError(f"a piece has 1 to {piece_length} bytes, not {len(data)}")
    height = _height(len(data)) if is_only else _level(piece_length)
    view = memoryview(data).cast("B")
    leaves = [
        sha256(view[start : start + LEAF_SIZE]).digest() for start in range(0, len(view), LEAF_SIZE)
    ]
    return _reduce(leaves, level=0, height=height)


def verify_layer(root: bytes, layer: bytes, *, size: int, piece_length: int) -> None:
    """Return if this is the layer under that root; nothing of it may be used before.

    Raises:
        MalformedError: It is not, or has not 32 bytes for each piece.
    """
    count = piece_count(size, piece_length)
    if len(layer) != DIGEST_SIZE * count:
        raise MalformedError(
            f"layer of {len(layer)} bytes: {count} pieces need {DIGEST_SIZE * count}"
        )
    level = _level(piece_length)
    computed = _layer_root(layer, level=level) if count else EMPTY_ROOT
    if computed != root:
        raise MalformedError(
            f"layer of {count} pieces has the root {computed.hex()}, not {root.hex()}"
        )


def coarser_layer(layer: bytes, *, size: int, piece_length: int, wanted_length: int) -> bytes:
    """Return the layer for longer pieces, given the one for shorter ones.

    Args:
        layer: A layer that has been verified or built here.
        size: The blob's size in bytes.
        piece_length: What one node of `layer` covers.
        wanted_length: What one node of the result covers, at least `piece_length`.

    Raises:
        LocalProtocolError: A length is no power of two, or the wanted one is the shorter.
    """
    level, wanted_level = _level(piece_length), _level(wanted_length)
    if wanted_level < level:
        raise LocalProtocolError(f"no layer of {wanted_length} bytes from one of {piece_length}")
    if len(layer) <= DIGEST_SIZE or wanted_level == level:
        return layer
    if size <= wanted_length:
        return _layer_root(layer, level=level)
    nodes = _nodes(layer)
    step = 1 << (wanted_level - level)
    return b"".join(
        _reduce(nodes[start : start + step], level=level, height=wanted_level)
        for start in range(0, len(nodes), step)
    )


def _layer_root(layer: bytes, *, level: int) -> bytes:
    nodes = _nodes(layer)
    # One node is the root already: its tree is as high as the blob needs, no higher.
    return _reduce(nodes, level=level, height=level + (len(nodes) - 1).bit_length())


def _nodes(layer: bytes) -> list[bytes]:
    return [layer[start : start + DIGEST_SIZE] for start in range(0, len(layer), DIGEST_SIZE)]


def _reduce(nodes: Sequence[bytes], *, level: int, height: int) -> bytes:
    # From the nodes of one level to the one node at `height`, padded on the right.
    while level < height:
        if len(nodes) % 2:
            nodes = [*nodes, _padding(level)]
        nodes = [
            sha256(left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)
        ]
        level += 1
    return nodes[0]


def _padding(level: int) -> bytes:
    node = _ZERO_LEAF
    for _ in range(level):
        node = sha256(node + node).digest()
    return node


def _height(size: int) -> int:
    return (piece_count(size, LEAF_SIZE) - 1).bit_length()


def _level(piece_length: int) -> int:
    level = (piece_length // LEAF_SIZE).bit_length() - 1
    if level < 0 or piece_length != LEAF_SIZE << level:
        raise LocalProtocolError(f"piece length {piece_length}: want a power of two from 16384")
    return level
