"""Read, write and measure localization tables of single-molecule microscopy."""

from smlmfmt.errors import FormatError
from smlmfmt.format import FormatInfo
from smlmfmt.registry import formats, media_type, read, sniff, write
from smlmfmt.table import Bundle, Image, LocTable

__all__ = [
    "Bundle",
    "FormatError",
    "FormatInfo",
    "Image",
    "LocTable",
    "formats",
    "media_type",
    "read",
    "sniff",
    "write",
]
