"""Whom to ask for a piece next, judged by how the asking went so far.

Pieces are numbers here; what they mean and whether they are right is for `protocol.transfer`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

INFLIGHT_SOURCE_MAX = 4
INFLIGHT_MAX = 16
UNPROVEN_MAX = 8
FAILURE_COUNT_MAX = 6  # in a row, before a source is dropped
PATIENCE_MS = 15_000  # for the first byte
RATE_MIN = 64  # bytes a millisecond; a slower source is late
PAUSE_MS = 1_000  # after a first failure
DOUBT_MS = 3_000  # until an unproven source's silence counts for something
RATE_WEIGHT = 0.3  # of the newest measurement


@dataclass(slots=True)
class _Asked:
    at_ms: int
    deadline_ms: int
    size: int


@dataclass(slots=True)
class _Source:
    name: str
    rank: bytes  # Decides between equals.
    inflight: dict[int, _Asked] = field(default_factory=dict)
    delivered: list[_Asked] = field(default_factory=list)  # Since time was last told.
    is_proven: bool = False
    failure_count: int = 0
    rests_until_ms: int = 0
    ms_per_byte: float = 0.0  # Nothing known: try it.

    def measure(self, now_ms: int) -> None:
        for asked in self.delivered:
            ms_per_byte = (now_ms - asked.at_ms) / asked.size
            known = self.ms_per_byte or ms_per_byte
            self.ms_per_byte = known + RATE_WEIGHT * (ms_per_byte - known)
        self.delivered.clear()


class Sources:
    """Those who may be asked; who was asked for what, until when, and how it went.

    Attributes:
        dropped: Sources that failed too often in a row, and how they did last.
    """

    def __init__(self, *, seed: bytes) -> None:
        """Begin with nobody.

        Args:
            seed: Which of equally good sources comes first.
        """
        self.dropped: dict[str, str] = {}
        self._seed = seed
        self._sources: dict[str, _Source] = {}
        self._failed_by: dict[int, set[str]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def add(self, name: str) -> None:
        """Ask this one too; if it was dropped, it gets a new chance."""
        if name not in self._sources:
            self.dropped.pop(name, None)
            self._sources[name] = _Source(name, sha256(self._seed + name.encode()).digest())

    def remove(self, name: str) -> None:
        """Ask this one nothing more, and expect nothing."""
        self._sources.pop(name, None)

    @property
    def inflight_count(self) -> int:
        """How many requests are open."""
        return sum(len(source.inflight) for source in self._sources.values())

    def expected(self, now_ms: int, *, surely: bool) -> set[int]:
        """Return the pieces that somebody is to deliver.

        Args:
            now_ms: The time.
            surely: Leave out what only unproven sources, silent for `DOUBT_MS`, are to deliver.
        """
        return {
            piece
            for source in self._sources.values()
            for piece, asked in source.inflight.items()
            if not surely or source.is_proven or now_ms < asked.at_ms + DOUBT_MS
        }

    def choose(self, piece: int, now_ms: int, *, proven: bool = False) -> str | None:
        """Return who should deliver this piece first, or None: everybody has enough to do.

        Args:
            piece: Which.
            now_ms: The time.
            proven: Ask only those who have delivered something.
        """
        failed_by = self._failed_by.get(piece, set())
        usable = [
            source
            for source in self._usable(now_ms)
            if piece not in source.inflight and (source.is_proven or not proven)
        ]
        # The sooner it should be through with this and what it owes, the better.
        best = min(
            usable,
            key=lambda s: (s.name in failed_by, s.ms_per_byte * (len(s.inflight) + 1), s.rank),
            default=None,
        )
        return best.name if best else None

    def _usable(self, now_ms: int) -> Iterator[_Source]:
        sources = self._sources.values()
        unproven_count = sum(len(s.inflight) for s in sources if not s.is_proven)
        for source in sources:
            if source.rests_until_ms > now_ms:
                continue
            if source.is_proven:
                is_free = len(source.inflight) < INFLIGHT_SOURCE_MAX
            else:
                is_free = not source.inflight and unproven_count < UNPROVEN_MAX
            if is_free:
                yield source

    def ask(self, name: str, piece: int, *, size: int, now_ms: int) -> int:
        """Note that this source is asked now, for so many bytes; return the deadline."""
        source = self._sources[name]
        patience_ms = PATIENCE_MS + size // RATE_MIN
        deadline_ms = now_ms + (patience_ms << source.failure_count)
        source.inflight[piece] = _Asked(now_ms, deadline_ms, size)
        return deadline_ms

    def deliver(self, name: str, piece: int) -> None:
        """Note that this source sent that piece, and that it was right."""
        source = self._sources.get(name)
        if source is None:
            return
        asked = source.inflight.pop(piece, None)
        if asked is not None:
            source.delivered.append(asked)
        source.is_proven = True
        source.failure_count = source.rests_until_ms = 0

    def settle(self, piece: int) -> None:
        """Forget who failed to deliver this piece: it is here."""
        self._failed_by.pop(piece, None)

    def fail(self, name: str, piece: int, reason: str, *, now_ms: int) -> None:
        """Note that this source will not deliver that piece; it rests, or is dropped."""
        source = self._sources.get(name)
        asked = source.inflight.pop(piece, None) if source else None
        if source is None or asked is None:
            return  # Given up before.
        self._failed_by.setdefault(piece, set()).add(name)
        if asked.at_ms < source.rests_until_ms:
            return  # Asked before the failure that it rests from: part of the same.
        source.is_proven = False
        source.rests_until_ms = now_ms + (PAUSE_MS << source.failure_count)
        source.failure_count += 1
        if source.failure_count >= FAILURE_COUNT_MAX:
            self.dropped[name] = reason
            del self._sources[name]

    def pass_time(self, now_ms: int) -> None:
        """Measure what was delivered, and fail whatever is past its deadline."""
        for source in list(self._sources.values()):
            source.measure(now_ms)
            for piece, asked in list(source.inflight.items()):
                if asked.deadline_ms <= now_ms:
                    waited_ms = now_ms - asked.at_ms
                    self.fail(source.name, piece, f"no answer in {waited_ms} ms", now_ms=now_ms)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return the next moment at which something changes by itself; None: never."""
        sources = self._sources.values()
        moments = [s.rests_until_ms for s in sources]
        for source in sources:
            for asked in source.inflight.values():
                moments += [asked.deadline_ms, asked.at_ms + DOUBT_MS]
        return min((moment for moment in moments if moment > now_ms), default=None)
