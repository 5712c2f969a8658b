"""Which of the files that a person points at belong to which sample."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.errors import InputError
from protocol import limits

__all__ = ["SelectedFile", "SelectedSample", "Selection", "select"]

_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "icon\r"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFile:
    """A file and the name under which it is published."""

    path: Path
    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedSample:
    """One field of view: a sub-folder, or files that share a name up to the first dot."""

    name: str
    files: tuple[SelectedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What will be added, and in words what was left out."""

    samples: tuple[SelectedSample, ...]
    skipped: tuple[str, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for sample in self.samples for file in sample.files)


def select(paths: Iterable[Path]) -> Selection:
    """Return the samples in files and folders.

    Sub-folders of a folder are samples, with all that lies below them. Other files make up
    samples by their names: `cell1.csv` and `cell1.tif` are both of sample `cell1`. Hidden and
    system files, links out of a folder and empty files are left out and named in `skipped`.

    Raises:
        InputError: A path is missing, unreadable or nothing but a file or folder; two files of one
            sample have the same name; there are more than a dataset can hold; or none at all.
    """
    samples: dict[str, dict[str, SelectedFile]] = {}
    skipped: list[str] = []
    for path in paths:
        found = _in_folder(path, skipped) if path.is_dir() else _alone(path)
        for sample, file in found:
            files = samples.setdefault(sample, {})
            other = files.get(file.name)
            if other is not None and not other.path.samefile(file.path):
                raise InputError(
                    f"sample {sample!r} has two files {file.name!r}: {other.path} and {file.path}; "
                    "rename one"
                )
            files[file.name] = file
            _check_room(sample, samples)
    if not samples:
        reason = f" ({'; '.join(skipped[:5])})" if skipped else ""
        raise InputError(f"there are no files to add{reason}")
    return Selection(
        samples=tuple(
            SelectedSample(name=name, files=tuple(files.values()))
            for name, files in samples.items()
        ),
        skipped=tuple(skipped),
    )


def _check_room(sample: str, samples: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse before anything is read what no record can describe after hours of reading."""
    if len(samples) > limits.SAMPLES_MAX:
        raise InputError(
            f"a dataset has at most {limits.SAMPLES_MAX} samples; make several datasets of these "
            "files, or put files that belong together into sub-folders"
        )
    if len(samples[sample]) > limits.FILES_MAX:
        raise InputError(
            f"sample {sample!r} has more than {limits.FILES_MAX} files; divide them into samples "
            "(sub-folders), or pack what belongs together into one file"
        )


def _alone(path: Path) -> Iterator[tuple[str, SelectedFile]]:
    file = _file(path, path.name)
    if file.size == 0:
        raise InputError(f"{path} is empty (0 bytes)")
    yield _stem(file.name), file


def _in_folder(root: Path, skipped: list[str]) -> Iterator[tuple[str, SelectedFile]]:
    for path in _files_below(root, skipped):
        parts = path.relative_to(root).parts
        # Names in a record have no folders: what lies deeper keeps its way in its name.
        file = _file(path, "-".join(parts[1:]) if len(parts) > 1 else parts[0])
        if file.size == 0:
            skipped.append(f"{path.relative_to(root)}: empty")
            continue
        yield (_plain(parts[0]) if len(parts) > 1 else _stem(file.name)), file


def _files_below(folder: Path, skipped: list[str]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    for entry in entries:
        path = Path(entry.path)
        if _is_system(entry):
            skipped.append(f"{path.name}: hidden or of the system")
        elif entry.is_symlink():
            skipped.append(f"{path.name}: a link")
        elif entry.is_dir():
            yield from _files_below(path, skipped)
        elif entry.is_file():
            yield path
        else:
            skipped.append(f"{path.name}: no file")


def _is_system(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith((".", "~$")) or entry.name.lower() in _SYSTEM_NAMES:
        return True
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & (stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM))


def _file(path: Path, name: str) -> SelectedFile:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file nor a folder")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read by this user")
    plain = _plain(name)
    if len(plain.encode("utf-8", "replace")) > limits.FILE_NAME_SIZE_MAX:
        raise InputError(
            f"{path}: a file name has at most {limits.FILE_NAME_SIZE_MAX} bytes; rename it"
        )
    return SelectedFile(path=path, name=plain, size=status.st_size)


def _plain(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "_" for letter in name).strip()
    return plain.replace("\\", "_") or "_"


def _stem(name: str) -> str:
    return name.partition(".")[0] or name
