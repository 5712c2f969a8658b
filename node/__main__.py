"""The entry of `locmesh`: loads the commands, and is tidy when interrupted meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run one command. Return 0 when it is done, 1 when it failed, 2 when it was used wrongly."""
    try:
        # Loading takes a while; an impatient Ctrl-C must end in a sentence as well.
        from node.cli.run import run  # noqa: PLC0415

        return run(args)
    except KeyboardInterrupt:
        sys.stderr.write("locmesh: Stopped.\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
