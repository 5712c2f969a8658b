"""An open HDF5 file: its datasets by path, and their numbers within what a reader grants."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection
from typing import Any, BinaryIO

from smlmfmt.documents import plain
from smlmfmt.errors import ArchiveError, FormatError, SizeLimitError
from smlmfmt.hdf5.layout import Dataset, dataset_of
from smlmfmt.hdf5.process import description_of
from smlmfmt.hdf5.rows import Numbers, read_fields

__all__ = ["Dataset", "Hdf5File", "is_hdf5", "sniff"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# As for .smlm: constant columns compress a thousandfold, whole tables less than tenfold.
RATIO_MAX = 250
RATIO_FREE_SIZE = 64 << 20

Description = dict[str, Any] | FormatError

_HEAD_SIZE = 4096
_USER_BLOCKS = (0, 512, 1024, 2048)
# What was found out to tell a file's format need not be found out again to read it. An entry lives
# as long as its file object, and counts only while the file has that size and beginning.
_SNIFFED: weakref.WeakKeyDictionary[BinaryIO, tuple[tuple[int, bytes], Description]] = (
    weakref.WeakKeyDictionary()
)


class Hdf5File:
    """What an HDF5 file holds.

    Args:
        file: Seekable.
        name: The file's name, for messages.

    Raises:
        ArchiveError: It is no HDF5 file, or its structure is damaged.
        SizeLimitError: Its structure is larger than a reader grants.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.name = name
        self._file = file
        self._size = file.seek(0, 2)
        self._left = RATIO_FREE_SIZE + RATIO_MAX * self._size
        file.seek(0)
        head = file.read(_HEAD_SIZE)
        if not is_hdf5(head):
            raise ArchiveError(f"{name}: does not begin as an HDF5 file does")
        found = _described(file, (self._size, head))
        if isinstance(found, FormatError):
            raise type(found)(f"{name}: {found}")
        self._objects = found["objects"]

    def dataset(self, path: str) -> Dataset | None:
        """Return the dataset of that path, if there is one.

        Raises:
            ArchiveError: There is something there that cannot be made out.
        """
        about = self._objects.get(path)
        if not isinstance(about, dict):
            return None
        what = f"{self.name}: {path}"
        if "problem" in about:
            raise ArchiveError(f"{what}: cannot be made out: {about['problem']}")
        found = about.get("dataset")
        return dataset_of(path, found, what=what) if isinstance(found, dict) else None

    def datasets(self, group: str) -> list[Dataset]:
        """Return the datasets directly in a group, in the file's order."""
        prefix = f"{group}/"
        paths = [path for path in self._objects if path.startswith(prefix)]
        found = [self.dataset(path) for path in paths if "/" not in path[len(prefix) :]]
        return [dataset for dataset in found if dataset is not None]

    def attributes(self, path: str) -> dict[str, Any]:
        """Return what is noted at a group or dataset, as plain JSON."""
        about = self._objects.get(path)
        found = plain(about.get("attributes")) if isinstance(about, dict) else {}
        return found if isinstance(found, dict) else {}

    def read(self, dataset: Dataset, *, names: Collection[str] | None = None) -> dict[str, Numbers]:
        """Return a dataset's numbers by field name, each of the dataset's shape.

        Raises:
            ArchiveError: Its bytes are damaged or cannot be read here.
            RowError: The file does not hold what it declares.
            SizeLimitError: It takes more memory than a file of this size is granted.
        """
        what = f"{self.name}: {dataset.path}"
        dataset.check(file_size=self._size, what=what)
        if dataset.size > self._left:
            raise SizeLimitError(
                f"{what}: {dataset.size} B of numbers in a file of {self._size} B; at most"
                f" {RATIO_MAX} times the file's size is read"
            )
        self._left -= dataset.size
        return read_fields(self._file, dataset, names=names, what=what)


def is_hdf5(head: bytes) -> bool:
    """Say whether a file begins as HDF5, behind a user block or not."""
    return any(head.startswith(SIGNATURE, start) for start in _USER_BLOCKS)


def sniff(
    head: bytes, file: BinaryIO, *, is_it: Callable[[Hdf5File], bool], marks: tuple[bytes, ...]
) -> bool:
    """Say whether an HDF5 file is of a format.

    Args:
        head: The file's first bytes.
        file: The file.
        is_it: Judges by what the file holds.
        marks: Names that the format has early in the file. They decide if it is too damaged to
            be listed, so that reading it as what it was says what is wrong with it.
    """
    if not is_hdf5(head):
        return False
    try:
        return is_it(Hdf5File(file, name="file"))
    except FormatError:
        return all(mark in head for mark in marks)


def _described(file: BinaryIO, state: tuple[int, bytes]) -> Description:
    try:
        known = _SNIFFED.get(file)
    except TypeError:  # A file object that cannot be a key.
        return _description(file)
    if known is None or known[0] != state:
        known = _SNIFFED[file] = state, _description(file)
    return known[1]


def _description(file: BinaryIO) -> Description:
    try:
        return description_of(file)
    except FormatError as error:
        return type(error)(str(error))  # Without what it was raised from, which holds the file.
