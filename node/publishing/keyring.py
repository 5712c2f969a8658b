"""The publisher's keys in a home: one that signs every day, one that is meant to be taken away."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.errors import ConfigError
from protocol.envelope import Envelope, seal
from protocol.errors import ProtocolError
from protocol.identity import PublisherId, SigningKey
from protocol.records import Identity, Key

__all__ = ["Keyring"]

KEYS_FOLDER = "keys"
ONLINE_FILE = "online.key"
RECOVERY_FILE = "recovery.key"
IDENTITY_FILE = "identity.envelope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The online key, who it speaks for, and the record that says so.

    Attributes:
        publisher: The publisher's name: the id of its first identity record.
        signer: The key that signs records and requests.
        identity: The sealed identity record, kept beside the keys so that it outlives the database.
        recovery_path: Where the recovery key was written; it may have been moved since.
    """

    publisher: PublisherId
    signer: SigningKey
    identity: Envelope
    recovery_path: Path

    @classmethod
    def create(cls, home: Path, *, now: int) -> Keyring:
        """Make both keys and the first identity record in the home's `keys` folder.

        An interrupted creation leaves no identity file; a later one starts over.
        """
        folder = home / KEYS_FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        online, recovery = (SigningKey.from_seed(secrets.token_bytes(32)) for _ in range(2))
        keys = (Key(key=online.did, role="online"), Key(key=recovery.did, role="recovery"))
        identity = Identity(publisher=None, revision=1, previous=None, issued=now, keys=keys)
        # protocol.md: the first identity record is signed by all its keys.
        envelope = seal(identity.to_bytes(), [online, recovery])
        _write_key(folder / ONLINE_FILE, online)
        _write_key(folder / RECOVERY_FILE, recovery)
        _write_private(folder / IDENTITY_FILE, envelope.to_bytes())
        return cls.open(home)

    @classmethod
    def open(cls, home: Path) -> Keyring:
        """Read the keyring.

        Raises:
            ConfigError: A file is missing, damaged, or belongs to another identity.
        """
        folder = home / KEYS_FOLDER
        try:
            envelope = Envelope.from_bytes((folder / IDENTITY_FILE).read_bytes())
            identity = Identity.from_bytes(envelope.payload)
        except (OSError, ProtocolError) as error:
            raise ConfigError(
                f"{folder / IDENTITY_FILE}: {error}; restore it from a backup"
            ) from error
        signer = _read_key(folder / ONLINE_FILE)
        if signer.did not in {key.key for key in identity.keys if key.role == "online"}:
            raise ConfigError(
                f"{folder / ONLINE_FILE} is not a key of publisher {envelope.id[:8]}; "
                "restore the key that belongs to it"
            )
        return cls(
            publisher=PublisherId(identity.publisher or envelope.id),
            signer=signer,
            identity=envelope,
            recovery_path=folder / RECOVERY_FILE,
        )

    @staticmethod
    def exists(home: Path) -> bool:
        """Return whether a whole keyring was made here."""
        return (home / KEYS_FOLDER / IDENTITY_FILE).exists()


def _write_key(path: Path, key: SigningKey) -> None:
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    _write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read_key(path: Path) -> SigningKey:
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; restore it from a backup") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} is damaged: no private key; restore it from a backup") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path} is no Ed25519 key; restore the key that Locmesh made")
    return SigningKey.from_seed(private.private_bytes_raw())
