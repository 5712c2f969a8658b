"""What every part of peering works with."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from node.catalog.catalog import Catalog
from node.catalog.peers import Peers
from node.catalog.serving import Serving
from node.config import Config
from node.peering.client import Connections
from node.storage.blobs import BlobStore

__all__ = ["Context", "Memory"]

RECENT_MAX = 20_000
REFUSED_MAX = 300_000
REFUSED_FOR_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """This node, as peering sees it: `own` is its publisher id, `clock` the seconds since 1970."""

    config: Config
    own: str
    catalog: Catalog
    peers: Peers
    serving: Serving
    blobs: BlobStore
    connections: Connections
    clock: Callable[[], int]


@dataclass(slots=True)
class Memory:
    """What is remembered of one peer between rounds. Losing it costs time, nothing else.

    Attributes:
        settled: By publisher and scope: the peer's head and our count when both sets were equal.
        recent: Records that came from the peer lately, so that they are not offered back.
        refused: Records that were refused here, and until when they are not asked for again.
    """

    settled: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict)
    refused: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def note_pulled(self, ids: Iterable[str]) -> None:
        """Remember where records came from."""
        self.recent.update(dict.fromkeys(ids))
        while len(self.recent) > RECENT_MAX:
            self.recent.popitem(last=False)

    def note_refused(self, record: str) -> None:
        """Remember that a record is of no use here. What it lacks may come, so not for ever."""
        self.refused[record] = time.monotonic() + REFUSED_FOR_S
        self.refused.move_to_end(record)
        while len(self.refused) > REFUSED_MAX:
            self.refused.popitem(last=False)

    def is_refused(self, record: str) -> bool:
        """Say whether a record was refused lately."""
        return self.refused.get(record, 0.0) > time.monotonic()
