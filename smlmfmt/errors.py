"""What can be wrong with a localization file. The message names the place and the rule."""

__all__ = [
    "ArchiveError",
    "FormatError",
    "HeaderError",
    "RowError",
    "SizeLimitError",
    "UnitError",
]


class FormatError(Exception):
    """A file is not what its format says it must be. Root of every error of this package."""


class HeaderError(FormatError):
    """Column names or a manifest are missing, doubled or contradictory."""


class RowError(FormatError):
    """A row is short, long or not numeric, or fewer rows are there than were promised."""


class UnitError(FormatError):
    """A length cannot be brought to nanometres with what is known."""


class ArchiveError(FormatError):
    """A container (zip, HDF5 ...) is damaged or breaks its own rules."""


class SizeLimitError(FormatError):
    """A file asks for more memory, entries or nesting than a reader grants."""
