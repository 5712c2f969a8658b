"""What a node says of itself over DNS-SD: a hint, believed only after a hello (protocol.md 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from protocol import limits
from protocol.errors import LocalProtocolError, MalformedError
from protocol.identity import PublisherId, parse_digest

__all__ = ["SERVICE_TYPE", "Beacon", "instance_name"]

SERVICE_TYPE = "_locmesh._tcp.local."
INSTANCE_SIZE_MAX = 63  # RFC 6763, 4.1.1: one DNS label.
_TXT_VERSION = "1"
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """Which publisher a service belongs to and how to reach it; host and port are in the SRV.

    Attributes:
        tls: The service speaks https.
        path: What precedes /sync/v1, without a slash at its end.
    """

    publisher: PublisherId
    tls: bool = False
    path: str = ""

    def to_txt(self) -> dict[str, str]:
        """Return the TXT record's keys and values, under 200 bytes in all."""
        if not _PATH.fullmatch(self.path):
            raise LocalProtocolError(f"want a path like /locmesh, got {self.path!r}")
        return {
            "txtvers": _TXT_VERSION,
            "proto": str(limits.PROTOCOL_VERSION),
            "id": self.publisher,
            "tls": "1" if self.tls else "0",
            "path": self.path,
        }

    @classmethod
    def from_txt(cls, txt: Mapping[bytes, bytes | None]) -> Beacon:
        """Read a TXT record; keys that we do not know are ignored.

        Raises:
            MalformedError: Another version, or a value that is not as `to_txt` writes it.
        """
        try:
            values = {key.decode(): (value or b"").decode() for key, value in txt.items()}
        except UnicodeDecodeError:
            raise MalformedError("TXT: a key or value is not UTF-8") from None
        if values.get("txtvers") != _TXT_VERSION:
            raise MalformedError(f"TXT txtvers: want 1, got {values.get('txtvers', '')[:20]!r}")
        if values.get("proto") != str(limits.PROTOCOL_VERSION):
            raise MalformedError(f"TXT proto: want 1, got {values.get('proto', '')[:20]!r}")
        tls, path = values.get("tls", "0"), values.get("path", "")
        if tls not in {"0", "1"} or not _PATH.fullmatch(path):
            raise MalformedError(f"TXT tls or path: got {tls[:20]!r}, {path[:80]!r}")
        return cls(publisher=parse_digest(values.get("id", "")), tls=tls == "1", path=path)


def instance_name(name: str, publisher: PublisherId) -> str:
    """Return the service's instance name: the node's name, shortened, and its id's first digits."""
    suffix = f" ({publisher[:8]})"
    clean = re.sub(r"[\x00-\x1f\x7f.]+", " ", name).strip() or "Locmesh"
    room = INSTANCE_SIZE_MAX - len(suffix)
    return clean.encode()[:room].decode(errors="ignore").rstrip() + suffix
