"""Each reader for a moment under a coverage-guided fuzzer; people let it run for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from smlmfmt.known_formats import FORMATS
from tests.fuzz.campaign import SNIFF, run

pytest.importorskip("atheris", reason="the fuzzer has no wheel for this Python or system")


@pytest.mark.parametrize("name", [*FORMATS, SNIFF])
def test_a_reader_gives_a_result_or_a_format_error(name: str, tmp_path: Path) -> None:
    outcome = run(name, tmp_path, seconds=2, seed=1)
    assert outcome.findings == [], outcome.report
    assert outcome.runs > 0
