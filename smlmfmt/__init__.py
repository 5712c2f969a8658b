"""Read, write and measure localization tables of single-molecule microscopy."""

from smlmfmt.errors import FormatError
from smlmfmt.table import Bundle, Image, LocTable

__all__ = ["Bundle", "FormatError", "Image", "LocTable"]
