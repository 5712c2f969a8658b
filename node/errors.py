"""What can go wrong in a node, in words a person can act on. None of these knows HTTP."""

__all__ = [
    "AmbiguousError",
    "ConfigError",
    "ConflictError",
    "DamagedError",
    "ForbiddenError",
    "InputError",
    "NodeError",
    "NotFoundError",
    "PeerError",
    "StorageError",
]


class NodeError(Exception):
    """Root of every error a person may see. The message says what failed and what to do."""


class ConfigError(NodeError):
    """A setting or the home folder is unusable."""


class InputError(NodeError):
    """What a person gave (metadata, a file, an option) breaks a rule."""


class NotFoundError(NodeError):
    """Nothing here has that name."""


class AmbiguousError(NodeError):
    """A shortened id fits more than one thing."""


class ConflictError(NodeError):
    """The thing is in a state that forbids this."""


class ForbiddenError(NodeError):
    """The caller may not do or see this."""


class StorageError(NodeError):
    """The disk is full, over quota or unwritable."""


class DamagedError(NodeError):
    """Stored bytes no longer match their name."""


class PeerError(NodeError):
    """Another node cannot be reached, is not who it should be, or broke the protocol."""
