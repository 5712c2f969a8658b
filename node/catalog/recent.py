"""What was worked out last, kept while it is likely to be asked for again."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, up to a count and a total weight. Safe in threads."""

    def __init__(self, count_max: int, *, weight_max: int) -> None:
        self._count_max = count_max
        self._weight_max = weight_max
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return a value if it is still here."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, *, weight: int = 1) -> None:
        """Keep a value; what was used longest ago makes room."""
        with self._lock:
            self._drop(key)
            self._values[key] = (value, weight)
            self._weight += weight
            while len(self._values) > 1 and (
                len(self._values) > self._count_max or self._weight > self._weight_max
            ):
                self._drop(next(iter(self._values)))

    def forget(self, key: K) -> None:
        """Drop a value if it is here."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: K) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self._weight -= found[1]
