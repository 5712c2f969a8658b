"""Run a command's work on a home: open it, log to it, close it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from node.app import Node
from node.config import Config
from node.logs import log_to_file

__all__ = ["open_config", "run_on_home"]

T = TypeVar("T")
COMMAND_LOG = Path("logs") / "commands.log"


def run_on_home(home: Path, work: Callable[[Node], Awaitable[T]]) -> T:
    """Return what `work` returns, given the services of a home.

    Raises:
        ConfigError: There is no home there, or its settings are unusable.
    """
    config = open_config(home)

    async def session() -> T:
        async with Node(config) as node:
            return await work(node)

    return asyncio.run(session())


def open_config(home: Path) -> Config:
    """Return the settings of a home, and log to its command log if there is a home."""
    config = Config.load(home)
    if home.is_dir():
        log_to_file(home / COMMAND_LOG, level=config.log_level)
    return config
