"""The colour maps as the viewer reads them: `python -m tests.browser.colormaps_for_pages`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import node
from smlmfmt.colormaps import COLORMAPS, DEPTH, colormap

PATH = Path(node.__file__).parent / "web" / "static" / "viewer" / "colormaps.json"


def document() -> str:
    """Return 256 colours of three bytes for each map, in base64; `depth` is the ramp for values."""
    maps = {name: colormap(name) for name in COLORMAPS} | {"depth": DEPTH}
    texts = {name: base64.b64encode(lut.tobytes()).decode() for name, lut in maps.items()}
    return json.dumps(texts, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
