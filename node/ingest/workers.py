"""Processes that read files: bounded, replaceable, and gone when the node is gone.

Each slot is a pool of one process. A file that makes its process die (a fault in a decoder, the
system's memory killer) thus fails alone: the slot gets a new process and the node goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from node.errors import InputError

__all__ = ["Workers"]

T = TypeVar("T")
A = TypeVar("A")


class Workers:
    """Run functions in other processes, at most `count` at once. They start when first needed."""

    def __init__(self, count: int) -> None:
        assert count >= 1
        self._slots: asyncio.Queue[ProcessPoolExecutor | None] = asyncio.Queue()
        for _ in range(count):
            self._slots.put_nowait(None)
        self._pools: set[ProcessPoolExecutor] = set()

    async def run(self, function: Callable[[A], T], argument: A, *, what: str) -> T:
        """Return function(argument) as another process computes it.

        Raises:
            InputError: The process died of it; `what` names the argument.
        """
        pool = await self._slots.get()
        try:
            pool = pool or self._start()
            return await asyncio.get_running_loop().run_in_executor(pool, function, argument)
        except BrokenProcessPool as error:
            if pool is not None:
                self._discard(pool)
                pool = None
            raise InputError(
                f"{what}: the process that read it died (out of memory, or the file is damaged)"
            ) from error
        except asyncio.CancelledError:
            if pool is not None:  # Its process may still be busy with what nobody waits for.
                self._discard(pool)
                pool = None
            raise
        finally:
            self._slots.put_nowait(pool)

    async def close(self) -> None:
        """End all processes at once."""
        for pool in list(self._pools):
            self._discard(pool)

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare
        )
        self._pools.add(pool)
        return pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        self._pools.discard(pool)
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            with contextlib.suppress(OSError, ValueError):
                process.kill()


def _prepare() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
