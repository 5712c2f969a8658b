"""Point pyramids: any table at every zoom, each part of it an unbiased sample of the whole.

`build` makes one file of a table, `open` reads it, `estimate` says what the density is from any
part of it. How the tree works is in `tree`, the bytes are in docs/pyramid.md.
"""

from __future__ import annotations

from smlmfmt.pyramid.about import About, Measured
from smlmfmt.pyramid.build import build
from smlmfmt.pyramid.encoding import Carry, Encoding
from smlmfmt.pyramid.estimate import (
    Cut,
    Estimate,
    Grid,
    choose_cut,
    estimate,
    level_cut,
    weights,
)
from smlmfmt.pyramid.file import Pyramid, open  # noqa: A004 - as gzip.open.
from smlmfmt.pyramid.layout import Column, Lane
from smlmfmt.pyramid.plan import Options
from smlmfmt.pyramid.source import RowBlocks

__all__ = [
    "About",
    "Carry",
    "Column",
    "Cut",
    "Encoding",
    "Estimate",
    "Grid",
    "Lane",
    "Measured",
    "Options",
    "Pyramid",
    "RowBlocks",
    "build",
    "choose_cut",
    "estimate",
    "level_cut",
    "open",
    "weights",
]
