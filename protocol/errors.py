"""Who broke the protocol: we ourselves, or the other side."""

__all__ = [
    "LocalProtocolError",
    "MalformedError",
    "ProtocolError",
    "RemoteProtocolError",
    "SizeLimitError",
    "UnsignedError",
]


class ProtocolError(Exception):
    """Root of every error of this package."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that the protocol forbids."""


class RemoteProtocolError(ProtocolError):
    """Bytes from outside break a rule. The state is as it was before the call."""


class MalformedError(RemoteProtocolError):
    """Bytes do not parse as what they claim to be; the message names the field."""


class SizeLimitError(RemoteProtocolError):
    """A message, list or number is over the limit; the message names limit and value."""


class UnsignedError(RemoteProtocolError):
    """Too few trusted keys signed."""
