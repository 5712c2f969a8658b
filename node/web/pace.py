"""How fast strangers may ask: a bucket of tokens for each address that refills with time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

__all__ = ["Paces"]

RATE_PER_S = 100.0
BURST = 1_000.0
PAUSE_MAX_S = 5.0
ADDRESSES_MAX = 10_000


class Paces:
    """Counts requests by address and says how long each should wait.

    Who asks evenly is only slowed down; to refuse, the wait must be longer than `pause_max_s`.

    Args:
        clock: Gives seconds that only go forward.
    """

    pause_max_s = PAUSE_MAX_S

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Count a request; return the seconds it should wait. One to refuse is not counted."""
        key, now = _network(address), self._clock()
        tokens, at = self._buckets.pop(key, (BURST, now))
        tokens = min(BURST, tokens + (now - at) * RATE_PER_S) - 1.0
        pause_s = max(0.0, -tokens / RATE_PER_S)
        # What is refused costs nothing, or a flood would shut out its own end.
        self._buckets[key] = (tokens + (pause_s > PAUSE_MAX_S), now)
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return pause_s


def _network(address: str) -> str:
    """Return what one customer has: an IPv4 address, or a /64 of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((found.packed[:8] + bytes(8), 64)))
