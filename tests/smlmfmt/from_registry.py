"""What is written from the registry: the overview in docs/formats.md and napari's patterns.

    python -m tests.smlmfmt.from_registry

writes both again; the tests say when that is due.
"""

from __future__ import annotations

import re
from pathlib import Path

import smlmfmt

__all__ = ["DOC", "MANIFEST", "block", "overview", "patterns", "with_block", "with_patterns"]

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "formats.md"
MANIFEST = ROOT / "smlmfmt" / "napari.yaml"


def overview() -> str:
    """Return the table of all formats, in the order in which a file is tried."""
    lines = [
        "| name | what | suffixes | reads | writes | variants |",
        "|---|---|---|---|---|---|",
    ]
    for item in smlmfmt.formats():
        cells = (
            f"`{item.name}`",
            item.title,
            " ".join(f"`{suffix}`" for suffix in item.suffixes),
            "yes" if item.reads else "no",
            "yes" if item.writes else "no",
            " ".join(f"`{variant}`" for variant in item.variants),
        )
        lines.append("| " + " | ".join(cells).rstrip() + " |")
    return "\n".join(lines)


def patterns() -> list[str]:
    """Return the file patterns of everything that is read."""
    suffixes = {suffix for item in smlmfmt.formats() if item.reads for suffix in item.suffixes}
    return [f"*{suffix}" for suffix in sorted(suffixes)]


def block(text: str, name: str) -> str:
    """Return what stands between the two marks of a name."""
    found = _block(name).search(text)
    assert found is not None, f"there are no marks for {name}"
    return found[2]


def with_block(text: str, name: str, content: str) -> str:
    """Return the text with other content between the marks of a name."""
    block(text, name)
    return _block(name).sub(lambda found: found[1] + content + found[3], text)


def with_patterns(manifest: str) -> str:
    """Return napari's manifest with the patterns of today."""
    quoted = ", ".join(f'"{pattern}"' for pattern in patterns())
    changed, count = re.subn(r"(?<=filename_patterns: )\[[^]]*\]", f"[{quoted}]", manifest)
    assert count == 1
    return changed


def _block(name: str) -> re.Pattern[str]:
    start, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
    return re.compile(f"({re.escape(start)})(.*?)({re.escape(end)})", re.DOTALL)


def _main() -> None:
    text = DOC.read_text(encoding="utf-8")
    DOC.write_text(with_block(text, "overview", overview()), encoding="utf-8")
    MANIFEST.write_text(with_patterns(MANIFEST.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _main()
