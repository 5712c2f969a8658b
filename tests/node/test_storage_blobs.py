import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from node.errors import DamagedError, NotFoundError, StorageError
from node.storage.blobs import BlobStore, DirectoryBlobs
from protocol.merkle import MerkleBuilder, piece_hash, root_of, verify_layer

MIB = 1 << 20
SIZES = (0, 1, 16_384, 65_535, 65_536, 65_537, MIB, MIB + 1, 3 * MIB + 12_345)
Damage = Callable[[str, int], Awaitable[None]]


def some(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4)).digest(size)


def name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def parts(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(store: BlobStore, name: str, start: int = 0, end: int = 1 << 40) -> bytes:
    return b"".join([part async for part in store.open_range(name, start, end)])


# Every store passes this part; `store` and `damage` stand for the store.


@pytest.fixture(params=["directory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    assert request.param == "directory"
    blobs = DirectoryBlobs(tmp_path / "blobs")
    yield blobs
    await blobs.close()


@pytest.fixture
def damage(store: BlobStore) -> Damage:
    """Flip a bit of a stored blob behind the store's back."""

    async def flip(name: str, position: int) -> None:
        assert isinstance(store, DirectoryBlobs)
        path = store.path(name)
        data = bytearray(path.read_bytes())
        data[position] ^= 1
        path.write_bytes(data)

    return flip


async def test_the_stamp_changes_when_a_blob_comes_or_goes(store: BlobStore) -> None:
    stamps = [await store.stamp()]
    for seed in range(2):
        await store.put_file(parts(some(1000, seed)))
        stamps.append(await store.stamp())
    assert await store.stamp() == stamps[-1]
    await store.delete(name_of(some(1000, 0)))
    stamps.append(await store.stamp())
    assert len(set(stamps)) == len(stamps)


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_put_is_there(store: BlobStore, size: int) -> None:
    data = some(size)
    stored = await store.put_file(parts(data))
    assert (stored.sha256, stored.size) == (name_of(data), size)
    assert stored.merkle_root == root_of(data).hex()
    assert await store.has(stored.sha256)
    assert await store.stat(stored.sha256) == stored
    assert await store.list() == [stored.sha256]
    assert await read(store, stored.sha256) == data


async def test_a_file_is_put_like_a_stream_and_stays(store: BlobStore, tmp_path: Path) -> None:
    data = some(2 * MIB + 5)
    path = tmp_path / "source"
    path.write_bytes(data)
    assert await store.put_file(path) == await store.put_file(parts(data))
    assert path.read_bytes() == data
    assert await store.list() == [name_of(data)]


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (65_535, 65_537), (MIB - 1, MIB + 1), (70_000, 3 * MIB), (3 * MIB, 1 << 40)],
)
async def test_ranges_are_half_open(store: BlobStore, start: int, end: int) -> None:
    data = some(3 * MIB + 12_345)
    stored = await store.put_file(parts(data))
    assert await read(store, stored.sha256, start, end) == data[start:end]


@pytest.mark.parametrize("piece_length", [16_384, 65_536, MIB, 4 * MIB])
@pytest.mark.parametrize("size", SIZES)
async def test_layers_prove_the_pieces(store: BlobStore, size: int, piece_length: int) -> None:
    data = some(size)
    stored = await store.put_file(parts(data))
    layer = await store.layer(stored.sha256, piece_length)
    verify_layer(bytes.fromhex(stored.merkle_root), layer, size=size, piece_length=piece_length)
    builder = MerkleBuilder(finest=piece_length)
    builder.update(data)
    assert layer == builder.layer(piece_length)
    if size:
        is_only = size <= piece_length
        first = piece_hash(data[:piece_length], piece_length=piece_length, is_only=is_only)
        assert layer[:32] == first


async def test_bytes_that_are_not_the_expected_ones_leave_nothing(store: BlobStore) -> None:
    with pytest.raises(DamagedError, match="fetch it again"):
        await store.put_file(parts(some(100)), expected=name_of(b"other"))
    assert await store.list() == []


async def test_a_stream_that_breaks_leaves_nothing(store: BlobStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield some(1000)
        raise ConnectionError("peer is gone")

    with pytest.raises(ConnectionError):
        await store.put_file(broken())
    assert await store.list() == []


async def test_what_is_not_there_is_not_found(store: BlobStore) -> None:
    name = name_of(b"nobody")
    assert not await store.has(name)
    with pytest.raises(NotFoundError, match=name):
        await store.stat(name)
    with pytest.raises(NotFoundError):
        await read(store, name)
    await store.delete(name)


async def test_a_deleted_blob_is_gone(store: BlobStore) -> None:
    stored = await store.put_file(parts(some(MIB)))
    await store.delete(stored.sha256)
    assert not await store.has(stored.sha256)
    assert await store.list() == []


@pytest.mark.parametrize("position", [0, 65_536, MIB, 2 * MIB + 7])
async def test_a_flipped_bit_never_leaves(store: BlobStore, damage: Damage, position: int) -> None:
    data = some(2 * MIB + 8)
    stored = await store.put_file(parts(data))
    await damage(stored.sha256, position)
    served = store.open_range(stored.sha256, 0, len(data))
    for start in range(0, position - position % MIB, MIB):
        assert await anext(served) == data[start : start + MIB]
    with pytest.raises(DamagedError, match=f"piece {position // 65_536} of"):
        await anext(served)
    assert not await store.has(stored.sha256)
    assert await store.list() == []
    with pytest.raises(NotFoundError):
        await read(store, stored.sha256, 0, 1)


async def test_verify_reads_everything(store: BlobStore, damage: Damage) -> None:
    stored = await store.put_file(parts(some(3 * MIB)))
    await store.verify(stored.sha256)
    await damage(stored.sha256, 3 * MIB - 1)
    with pytest.raises(DamagedError):
        await store.verify(stored.sha256)
    assert not await store.has(stored.sha256)


async def test_putting_it_again_repairs_it(store: BlobStore, damage: Damage) -> None:
    data = some(MIB + 3)
    stored = await store.put_file(parts(data))
    await damage(stored.sha256, 5)
    with pytest.raises(DamagedError):
        await store.verify(stored.sha256)
    assert await store.put_file(parts(data), expected=stored.sha256) == stored
    assert await read(store, stored.sha256) == data


# What only a directory has.


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DirectoryBlobs]:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    yield blobs
    await blobs.close()


async def test_damage_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    stored = await blobs.put_file(parts(some(100)))
    blobs.path(stored.sha256).write_bytes(b"x" * 100)
    with pytest.raises(DamagedError):
        await blobs.verify(stored.sha256)
    await blobs.close()
    blobs = DirectoryBlobs(tmp_path)
    assert not await blobs.has(stored.sha256)
    assert list(await blobs.damaged()) == [stored.sha256]
    await blobs.close()


@pytest.mark.parametrize("size", [0, MIB])
async def test_a_blob_cut_short_is_damaged(blobs: DirectoryBlobs, size: int) -> None:
    stored = await blobs.put_file(parts(some(2 * MIB)))
    blobs.path(stored.sha256).write_bytes(some(2 * MIB)[:size])
    with pytest.raises(DamagedError, match=f"ends after {size} bytes"):
        await blobs.verify(stored.sha256)


@pytest.mark.parametrize("how", ["lost", "flipped", "cut"])
async def test_a_damaged_tree_is_measured_again(blobs: DirectoryBlobs, how: str) -> None:
    data = some(MIB + 3)
    stored = await blobs.put_file(parts(data))
    tree = blobs.path(stored.sha256).with_suffix(".tree")
    kept = tree.read_bytes()
    changed = {"lost": None, "flipped": kept[:-1] + bytes([kept[-1] ^ 1]), "cut": kept[:20]}[how]
    tree.unlink()
    if changed is not None:
        tree.write_bytes(changed)
    again = DirectoryBlobs(blobs.root)
    assert await read(again, stored.sha256) == data
    assert tree.read_bytes() == kept
    await again.close()


async def test_without_tree_and_intact_bytes_the_blob_is_damaged(blobs: DirectoryBlobs) -> None:
    stored = await blobs.put_file(parts(some(100)))
    blobs.path(stored.sha256).with_suffix(".tree").unlink()
    blobs.path(stored.sha256).write_bytes(b"y" * 100)
    again = DirectoryBlobs(blobs.root)
    with pytest.raises(DamagedError, match="hash to"):
        await again.stat(stored.sha256)
    await again.close()


async def test_the_quota_holds_during_a_write(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path, quota_bytes=4 * MIB)
    await blobs.put_file(parts(some(2 * MIB)))
    with pytest.raises(StorageError, match="quota_bytes is 4194304"):
        await blobs.put_file(parts(some(3 * MIB, seed=1)))
    assert len(await blobs.list()) == 1
    await blobs.put_file(parts(some(MIB, seed=2)))
    assert await blobs.used() < 4 * MIB
    await blobs.close()


async def test_the_reserve_stays_free(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path, reserve_bytes=1 << 60)
    with pytest.raises(StorageError, match="reserve_bytes"):
        await blobs.put_file(parts(some(10)))
    await blobs.close()


async def test_a_missing_source_is_not_found(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        await blobs.put_file(tmp_path / "nothing")


async def test_nothing_temporary_stays_after_closing(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    await blobs.put_file(parts(some(MIB)))
    await blobs.close()
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["sweep.lock"]


WRITER = """
import asyncio, sys
from pathlib import Path
from node.storage.blobs import DirectoryBlobs

async def endless():
    while True:
        yield bytes(1 << 20)
        print("written", flush=True)
        await asyncio.sleep(0.01)

async def main():
    await DirectoryBlobs(Path(sys.argv[1])).put_file(endless())

asyncio.run(main())
"""


def start(script: str, path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd())


async def test_leftovers_of_the_dead_are_swept_and_of_the_living_kept(tmp_path: Path) -> None:
    writer = start(WRITER, tmp_path)
    assert writer.stdout is not None
    writer.stdout.readline()
    living = DirectoryBlobs(tmp_path)
    folders = [path for path in (tmp_path / "incoming").iterdir() if path.is_dir()]
    assert len(folders) == 2
    writer.kill()
    writer.wait()
    writer.stdout.close()
    after = DirectoryBlobs(tmp_path)
    left = {path for path in (tmp_path / "incoming").iterdir() if path.is_dir()}
    assert len(left) == 2
    assert len(left & set(folders)) == 1
    assert await after.list() == []
    await living.close()
    await after.close()


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_said_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot write"):
        DirectoryBlobs(tmp_path / "blobs")
