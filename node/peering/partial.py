"""A blob on its way in: its verified pieces on disk, found again after any crash.

Three files: the bytes, the Merkle layer, and one bit per piece. The bit is written after the
piece. Whoever takes a partial blob up again checks the layer against the signed root and every
claimed piece against the layer, so a power cut between two writes costs pieces, never truth.
"""

from pathlib import Path
from typing import BinaryIO

from node.errors import StorageError
from node.lock import FileLock
from protocol.errors import RemoteProtocolError
from protocol.merkle import DIGEST_SIZE, piece_count, piece_hash, piece_length_for, piece_span
from protocol.merkle import verify_layer as verify_layer_against
from protocol.records import BlobRef

__all__ = ["PartialBlob"]


class PartialBlob:
    """The unfinished copy of one blob. Synchronous: the caller runs it in a thread.

    Args:
        folder: Where unfinished copies lie; made if it is not there.
        blob: What it is to become.
    """

    def __init__(self, folder: Path, blob: BlobRef) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.blob = blob
        self.piece_length = piece_length_for(blob.size)
        self.piece_count = piece_count(blob.size, self.piece_length)
        self.path = folder / f"{blob.sha256}.partial"
        self._layer_path = folder / f"{blob.sha256}.layer"
        self._bitmap_path = folder / f"{blob.sha256}.bitmap"
        self._lock = FileLock(folder / f"{blob.sha256}.lock")
        self.layer: bytes | None = None

    def try_open(self) -> bool:
        """Take the copy for this process. Return False while another one works on it."""
        if not self._lock.try_acquire():
            return False
        self.path.touch()
        return True

    def verified_pieces(self) -> bytes:
        """Check what an earlier process left and return the bitmap of the pieces that hold."""
        empty = bytes(-(-self.piece_count // 8))
        layer, claimed = _read(self._layer_path), _read(self._bitmap_path)
        if len(claimed) != len(empty) or not self._accept_layer(layer):
            return empty
        bitmap = bytearray(empty)
        with self.path.open("rb") as file:
            for index in range(self.piece_count):
                is_claimed = claimed[index // 8] >> (index % 8) & 1
                if is_claimed and self._holds(file, index):
                    bitmap[index // 8] |= 1 << (index % 8)
        return bytes(bitmap)

    def keep_layer(self, layer: bytes) -> None:
        """Remember the verified layer."""
        self._write(self._layer_path, layer)
        self.layer = layer

    def keep_piece(self, index: int, data: bytes, *, bitmap: bytes) -> None:
        """Write a verified piece, then the bitmap that says so."""
        start, _ = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        try:
            with self.path.open("r+b") as file:
                file.seek(start)
                file.write(data)
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error
        self._write(self._bitmap_path, bitmap)

    def drop(self) -> None:
        """Forget the copy; its bytes are in the store, or of no use."""
        for path in (self._bitmap_path, self._layer_path, self.path):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others work on the copy."""
        self._lock.release()
        if not self.path.exists():
            try:
                self._lock.path.unlink(missing_ok=True)
            except PermissionError:
                return  # On Windows, while another process is just opening it.

    def _accept_layer(self, layer: bytes) -> bool:
        try:
            verify_layer_against(
                bytes.fromhex(self.blob.merkle_root),
                layer,
                size=self.blob.size,
                piece_length=self.piece_length,
            )
        except RemoteProtocolError:
            return False
        self.layer = layer
        return True

    def _holds(self, file: BinaryIO, index: int) -> bool:
        assert self.layer is not None
        start, end = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        file.seek(start)
        data = file.read(end - start)
        wanted = self.layer[index * DIGEST_SIZE : (index + 1) * DIGEST_SIZE]
        if len(data) != end - start:
            return False
        is_only = self.piece_count == 1
        return piece_hash(data, piece_length=self.piece_length, is_only=is_only) == wanted

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(path.name + ".new")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
