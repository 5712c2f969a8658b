import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, MalformedError
from protocol.merkle import (
    DIGEST_SIZE,
    EMPTY_ROOT,
    LEAF_SIZE,
    MerkleBuilder,
    coarser_layer,
    piece_count,
    piece_hash,
    piece_length_for,
    piece_span,
    root_of,
    verify_layer,
)

MIB = 1 << 20
SIZES = [1, 16383, 16384, 16385, 32768, 49153, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1]
VECTORS = Path(__file__).parents[1] / "interop" / "vectors" / "merkle.json"


def naive_tree(data: bytes) -> list[list[bytes]]:
    leaves = [sha256(data[at : at + LEAF_SIZE]).digest() for at in range(0, len(data), LEAF_SIZE)]
    while len(leaves) & (len(leaves) - 1):
        leaves.append(bytes(32))
    tree = [leaves]
    while len(tree[-1]) > 1:
        below = tree[-1]
        pairs = zip(below[::2], below[1::2], strict=True)
        tree.append([sha256(left + right).digest() for left, right in pairs])
    return tree


def naive_layer(data: bytes, piece_length: int) -> bytes:
    tree = naive_tree(data)
    if len(data) <= piece_length:
        return tree[-1][0]
    level = (piece_length // LEAF_SIZE).bit_length() - 1
    return b"".join(tree[level][: piece_count(len(data), piece_length)])


def build(data: bytes, *, finest: int = LEAF_SIZE, seed: int = 0) -> MerkleBuilder:
    builder, parts, at = MerkleBuilder(finest=finest), random.Random(seed), 0
    while at < len(data):
        size = parts.choice([1, 1000, LEAF_SIZE, 70_000])
        builder.update(data[at : at + size])
        at += size
    assert builder.size == len(data)
    return builder


def check(data: bytes, finest: int, piece_length: int, seed: int = 0) -> None:
    builder = build(data, finest=finest, seed=seed)
    root, layer = builder.root(), builder.layer(piece_length)
    assert root == root_of(data) == naive_tree(data)[-1][0]
    assert layer == naive_layer(data, piece_length)
    verify_layer(root, layer, size=len(data), piece_length=piece_length)
    count = piece_count(len(data), piece_length)
    for index in range(count):
        start, end = piece_span(index, size=len(data), piece_length=piece_length)
        node = piece_hash(data[start:end], piece_length=piece_length, is_only=count == 1)
        assert node == layer[DIGEST_SIZE * index :][:DIGEST_SIZE]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("finest", "piece_length"), [(16384, 16384), (16384, 65536), (65536, MIB)])
def test_trees_at_the_edges_of_leaves_and_pieces(size: int, finest: int, piece_length: int) -> None:
    check(random.Random(size).randbytes(size), finest, piece_length)


@given(st.integers(1, 40 * LEAF_SIZE), st.integers(0, 3), st.integers(0, 3), st.integers())
@settings(max_examples=40)
def test_trees_of_any_size_are_those_of_the_naive_model(
    size: int, level: int, coarser: int, seed: int
) -> None:
    data = random.Random(seed).randbytes(size)
    check(data, LEAF_SIZE << level, LEAF_SIZE << (level + coarser), seed)


def vectors() -> list[Any]:
    cases = json.loads(VECTORS.read_text())["cases"]
    return [pytest.param(case, id=str(case["size"])) for case in cases]


@pytest.mark.parametrize("case", vectors())
def test_roots_and_layers_are_those_of_libtorrent(case: dict[str, Any]) -> None:
    count = -(-case["size"] // 32)
    data = b"".join(sha256(str(index).encode()).digest() for index in range(count))
    builder = build(data[: case["size"]])
    assert builder.root().hex() == case["root"]
    for piece_length, expected in case["layers"].items():
        layer = builder.layer(int(piece_length))
        assert len(layer) == 32 * expected["count"]
        assert sha256(layer).hexdigest() == expected["sha256"]


def test_an_empty_blob_has_the_hash_of_no_bytes_and_no_pieces() -> None:
    builder = MerkleBuilder()
    assert builder.root() == root_of(b"") == EMPTY_ROOT == sha256(b"").digest()
    assert builder.layer(MIB) == b""
    assert piece_count(0, MIB) == 0
    verify_layer(EMPTY_ROOT, b"", size=0, piece_length=MIB)
    with pytest.raises(MalformedError):
        verify_layer(bytes(32), b"", size=0, piece_length=MIB)


def test_a_builder_tells_the_root_so_far_and_goes_on() -> None:
    data = random.Random(1).randbytes(5 * LEAF_SIZE + 1)
    builder = MerkleBuilder(finest=2 * LEAF_SIZE)
    for at in range(0, len(data), 9999):
        assert builder.root() == root_of(data[:at])
        builder.update(memoryview(data)[at : at + 9999])
    assert builder.root() == root_of(data)


@given(st.integers(0, 9 * DIGEST_SIZE - 1), st.integers(1, 255))
def test_a_layer_with_any_byte_changed_is_refused(at: int, change: int) -> None:
    size = 9 * LEAF_SIZE - 5
    builder = build(bytes(size))
    layer = bytearray(builder.layer(LEAF_SIZE))
    layer[at] ^= change
    with pytest.raises(MalformedError, match="root"):
        verify_layer(builder.root(), bytes(layer), size=size, piece_length=LEAF_SIZE)


@pytest.mark.parametrize("size", [0, 31, 32, 63, 65, 96])
def test_a_layer_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(MalformedError, match="2 pieces need 64"):
        verify_layer(bytes(32), bytes(size), size=20_000, piece_length=LEAF_SIZE)


def test_a_whole_padded_piece_is_not_taken_for_the_root() -> None:
    data = bytes(LEAF_SIZE)
    padded = piece_hash(data, piece_length=MIB)
    assert padded != root_of(data)
    with pytest.raises(MalformedError):
        verify_layer(root_of(data), padded, size=len(data), piece_length=MIB)


@pytest.mark.parametrize("length", [0, 1, 8192, 16385, 3 * 16384])
def test_piece_lengths_are_powers_of_two_from_a_leaf_on(length: int) -> None:
    with pytest.raises(LocalProtocolError, match="power of two"):
        MerkleBuilder(finest=length)


def test_finer_layers_than_were_kept_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="finest"):
        MerkleBuilder(finest=MIB).layer(LEAF_SIZE)
    with pytest.raises(LocalProtocolError, match="no layer"):
        coarser_layer(b"", size=0, piece_length=MIB, wanted_length=LEAF_SIZE)


@pytest.mark.parametrize("data", [b"", bytes(16385)])
def test_a_piece_is_neither_empty_nor_too_long(data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="1 to 16384"):
        piece_hash(data, piece_length=LEAF_SIZE)


@pytest.mark.parametrize(
    ("size", "length"),
    [(0, MIB), (1, MIB), (4 << 30, MIB), ((4 << 30) + 1, 2 * MIB), (1 << 44, 1 << 32)],
)
def test_piece_length_keeps_pieces_to_4096(size: int, length: int) -> None:
    assert piece_length_for(size) == length
    assert piece_count(size, length) <= 4096
