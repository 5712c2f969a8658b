"""The composition root: everything that works on one home, opened and closed together."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from node.catalog.catalog import Catalog
from node.catalog.mirrors import Mirrors
from node.catalog.peers import Peers
from node.config import SETTINGS_FILE, Config, default_home
from node.errors import ConfigError, ConflictError
from node.ingest.ingest import Ingest
from node.ingest.workers import Workers
from node.publishing.drafts import Drafts
from node.publishing.keyring import Keyring
from node.publishing.publishing import Publishing
from node.storage.blobs import DirectoryBlobs
from node.storage.database import Database
from protocol.verdict import Policy

if TYPE_CHECKING:
    from node.peering import Peering

__all__ = ["DATABASE_FILE", "STAGING_FOLDER", "Node", "create_home", "has_home"]

DATABASE_FILE = "catalog.db"
BLOBS_FOLDER = "blobs"
STAGING_FOLDER = "staging"


def now_s() -> int:
    """Return the time in whole seconds since 1970."""
    return int(time.time())


class Node:
    """All services on one home, as an async context manager.

    A command and a running node may each have one on the same home: they share the database, the
    blobs and the locks, and notice each other's commits.

    Args:
        config: The settings; the home must have been made before.
        clock: Gives whole seconds since 1970.

    Raises:
        ConfigError: There is no home there, or it is damaged.
    """

    def __init__(self, config: Config, *, clock: Callable[[], int] = now_s) -> None:
        if not has_home(config.home):
            where = "" if config.home == default_home() else f' --home "{config.home}"'
            raise ConfigError(
                f"there is no Locmesh home in {config.home}; make one: locmesh init{where}"
            )
        self.config = config
        self.clock = clock
        self.keyring = Keyring.open(config.home)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the database, the blobs and all that stands on them."""
        config, clock = self.config, self.clock
        async with contextlib.AsyncExitStack() as stack:
            self.db = Database(config.home / DATABASE_FILE)
            stack.push_async_callback(self.db.close)
            self.blobs = DirectoryBlobs(
                config.home / BLOBS_FOLDER,
                quota_bytes=config.quota_bytes or None,
                reserve_bytes=config.reserve_bytes,
            )
            stack.push_async_callback(self.blobs.close)
            policy = Policy(
                own=self.keyring.publisher,
                publisher_records_max=config.publisher_records_max,
                publisher_bytes_max=config.publisher_bytes_max,
            )
            self.catalog = Catalog(self.db, policy, clock, blobs=self.blobs)
            stack.push_async_callback(self.catalog.close)
            self.peers = Peers(self.db, clock=clock)
            self.mirrors = Mirrors(self.db, clock=clock)
            self.drafts = Drafts(self.db, clock=clock)
            self.workers = Workers(config.worker_count)
            stack.push_async_callback(self.workers.close)
            self.ingest = Ingest(self.blobs, self.workers, staging=config.home / STAGING_FOLDER)
            self.publishing = Publishing(
                config, self.keyring, catalog=self.catalog, drafts=self.drafts, clock=clock
            )
            stack.push_async_callback(self._stop_peering)
            self._stack = stack.pop_all()
        return self

    @functools.cached_property
    def peering(self) -> Peering:
        """What this node does towards others; loaded by those who talk to any."""
        from node.peering import Peering  # noqa: PLC0415

        return Peering(self)

    async def _stop_peering(self) -> None:
        if "peering" in vars(self):
            await self.peering.stop()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()


def has_home(home: Path) -> bool:
    """Return whether a home was made here, to its end."""
    return (home / SETTINGS_FILE).is_file() and Keyring.exists(home)


async def create_home(config: Config) -> Keyring:
    """Make a home: keys, database, settings. The settings come last and say that it is whole.

    Raises:
        ConflictError: There is one already; nothing was changed.
        ConfigError: The folder cannot be written.
    """
    home = config.home
    if has_home(home):
        raise ConflictError(
            f"{home} is a Locmesh home already, of publisher {Keyring.open(home).publisher[:8]}; "
            "nothing was changed. Settings are in its node.toml"
        )
    try:
        # Drafts and private data are in there, too.
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not Keyring.exists(home):
            Keyring.create(home, now=now_s())
        settings = home / SETTINGS_FILE
        partial = settings.with_suffix(".partial")
        partial.write_text(config.to_toml(), encoding="utf-8")
        partial.replace(settings)
    except OSError as error:
        raise ConfigError(f"{error.filename or home}: {error.strerror}") from error
    return Keyring.open(home)
