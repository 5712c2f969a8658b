"""Run commands in this process, as a shell would see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from node.__main__ import main

__all__ = ["ABOUT", "Shell"]

ABOUT = (
    *("--description", "For a test.", "--author", "Ada Muster", "--license", "CC-BY-4.0"),
    *("--contact", "data@x.example", "--tag", "modality:dstorm"),
)


class Shell:
    """Types commands for one home and reads what they print."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capture = capture

    def run(self, *args: object) -> tuple[int, str, str]:
        """Return status, stdout and stderr."""
        self.capture.readouterr()
        status = main(["--home", str(self.home), *map(str, args)])
        said = self.capture.readouterr()
        return status, said.out, said.err

    def text(self, *args: object) -> str:
        """Return what a command that must go well says to people."""
        status, out, err = self.run(*args)
        assert status == 0, err
        assert err == ""
        return out

    def document(self, *args: object) -> Any:
        """Return the one JSON document of a command that must go well."""
        return json.loads(self.text(*args, "--json"))

    def failure(self, *args: object, status: int = 1) -> str:
        """Return the one line that a command fails with."""
        got, out, err = self.run(*args)
        assert (got, out) == (status, "")
        assert "Traceback" not in err
        assert status == 2 or err.count("\n") == 1, err
        return err
