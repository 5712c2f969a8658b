"""Read, write and measure localization tables of single-molecule microscopy."""

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
    "read",
    "sniff",
    "write",
]
