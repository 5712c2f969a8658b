"""A node of the demonstration as a process: `locmesh`, which ends when its parent has ended.

The parent holds the other end of this process's standard input and never writes. However it goes,
kill -9 included, the system closes that end, on every system alike.
"""

from __future__ import annotations

import _thread
import sys
import threading

from node.__main__ import main

__all__ = ["follow_parent"]


def follow_parent() -> None:
    """Interrupt this process, as Ctrl-C does, once its standard input has ended."""
    stdin = sys.stdin
    assert stdin is not None  # The parent gave a pipe.

    def wait() -> None:
        stdin.buffer.read()
        _thread.interrupt_main()

    threading.Thread(target=wait, name="follow parent", daemon=True).start()


if __name__ == "__main__":
    follow_parent()
    sys.exit(main())
