"""How far this home has signed, kept beside its keys and not in its catalog.

A catalog that was restored from a backup, or made anew, does not know of the newest heads that its
key has signed. Who publishes from there contradicts himself before all others, for good.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from node.errors import ConfigError, StorageError

__all__ = ["HeadMarks"]


class HeadMarks:
    """The highest sequence of the heads that were signed here, by key and scope.

    Args:
        path: The file; it need not be there.
        key: The key that signs. Heads of a retired one bind nobody, so a new one begins anew.
    """

    def __init__(self, path: Path, *, key: str) -> None:
        self.path = path
        self._key = key

    def sequence(self, scope: str) -> int:
        """Return the highest sequence that was signed, 0 if there was none."""
        return self._read().get(f"{self._key} {scope}", 0)

    def note(self, scope: str, sequence: int) -> None:
        """Remember that a head is out."""
        marks, name = self._read(), f"{self._key} {scope}"
        if marks.get(name, 0) >= sequence:
            return
        partial = self.path.with_suffix(".partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(marks | {name: sequence}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error

    def _read(self) -> dict[str, int]:
        try:
            marks = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}") from error
        if not isinstance(marks, dict) or not all(type(n) is int for n in marks.values()):
            raise ConfigError(f"{self.path}: want sequences of heads by key and scope")
        return marks
