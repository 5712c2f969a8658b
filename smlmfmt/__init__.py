"""Read, write and measure localization tables of single-molecule microscopy."""

from importlib import import_module
from typing import TYPE_CHECKING

from smlmfmt.conversion import Conversion, Progress, convert
from smlmfmt.errors import FormatError
from smlmfmt.format import FormatInfo
from smlmfmt.registry import formats, iter_blocks, media_type, read, sniff, write
from smlmfmt.table import Bundle, Image, LocTable

__all__ = [
    "Bundle",
    "Conversion",
    "FormatError",
    "FormatInfo",
    "Image",
    "LocTable",
    "Progress",
    "convert",
    "formats",
    "iter_blocks",
    "media_type",
    "pyramid",
    "read",
    "sniff",
    "write",
]

if TYPE_CHECKING:
    from smlmfmt import pyramid
else:

    def __getattr__(name: str) -> object:
        # Imported when first asked for: whoever only reads tables starts without it.
        if name == "pyramid":
            return import_module("smlmfmt.pyramid")
        raise AttributeError(f"module 'smlmfmt' has no attribute {name!r}")
