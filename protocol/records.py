"""The record types as frozen dataclasses: what is in a payload, and what may be (protocol.md 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocol import limits
from protocol.dataset import (
    EMAIL,
    Author,
    BlobRef,
    Citation,
    ColumnSummary,
    Dataset,
    Drift,
    File,
    Frames,
    Precision,
    Resolution,
    Sample,
    SavedView,
    TableSummary,
    Tag,
)
from protocol.errors import MalformedError
from protocol.identity import DatasetId, DigestHex, PublisherId, RecordId, parse_did_key
from protocol.payload import Fields, encode_record, open_record
from protocol.usual import read_usual

__all__ = [
    "Author",
    "BlobRef",
    "Citation",
    "ColumnSummary",
    "Dataset",
    "Drift",
    "File",
    "Frames",
    "Head",
    "Identity",
    "Key",
    "NodeInfo",
    "Precision",
    "Record",
    "Resolution",
    "Sample",
    "SavedView",
    "TableSummary",
    "Tag",
    "Withdrawal",
    "parse_record",
    "type_of",
]

KEY_ROLES = frozenset({"online", "recovery"})
HEAD_SCOPES = frozenset({"public", "members"})
NODE_URL = re.compile(
    r"https?://[^\s/?#@\\\x00-\x1f\x7f]{1,255}(/[^\s?#\\\x00-\x1f\x7f]{0,1000}[^\s?#\\/\x00-\x1f\x7f])?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a publisher: `key` as did:key, `role` online or recovery."""

    key: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A publisher's keys. The id of its first revision is the publisher's name.

    Attributes:
        publisher: None in revision 1 only.
        signed_by: The key of the previous revision that authorises this one; None in revision 1.
    """

    publisher: PublisherId | None = None
    revision: int
    previous: RecordId | None = None
    issued: int
    keys: tuple[Key, ...]
    signed_by: str | None = None

    def dids(self, role: str) -> frozenset[str]:
        """Return the keys of one role as did:key."""
        return frozenset(key.key for key in self.keys if key.role == role)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Identity:
        """Read the payload of an `identity` record."""
        return cls.read(open_record(payload, "identity"))

    @classmethod
    def read(cls, fields: Fields) -> Identity:
        """Read the fields of a payload."""
        revision = fields.integer("revision", minimum=1, maximum=limits.IDENTITY_REVISION_MAX)
        first = revision == 1
        return cls(
            publisher=fields.link("publisher", absent=first),
            revision=revision,
            previous=fields.link("previous", absent=first),
            issued=fields.integer("issued"),
            keys=_keys(fields),
            signed_by=_signed_by(fields, absent=first),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if peers would refuse it."""
        return encode_record("identity", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """Who runs the publisher's node and where it answers; `urls` may be empty."""

    publisher: PublisherId
    revision: int
    previous: RecordId | None = None
    issued: int
    name: str
    institution: str = ""
    contact: str = ""
    urls: tuple[str, ...] = ()
    software: str = ""

    @classmethod
    def from_bytes(cls, payload: bytes) -> NodeInfo:
        """Read the payload of a `node` record."""
        return cls.read(open_record(payload, "node"))

    @classmethod
    def read(cls, fields: Fields) -> NodeInfo:
        """Read the fields of a payload."""
        revision = fields.integer("revision", minimum=1, maximum=limits.REVISION_MAX)
        length_max = limits.NAME_LENGTH_MAX
        return cls(
            publisher=fields.digest("publisher"),
            revision=revision,
            previous=fields.link("previous", absent=revision == 1),
            issued=fields.integer("issued"),
            name=fields.line("name", length_max=length_max),
            institution=fields.line("institution", length_max=length_max, optional=True),
            contact=fields.matching("contact", EMAIL, "an e-mail address", optional=True),
            urls=read_node_urls(fields),
            software=fields.line("software", length_max=length_max, optional=True),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if peers would refuse it."""
        return encode_record("node", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """The end of a dataset: nothing follows it in the chain."""

    publisher: PublisherId
    dataset: DatasetId
    revision: int
    previous: RecordId
    issued: int
    reason: str
    successor: DatasetId | None = None

    @classmethod
    def from_bytes(cls, payload: bytes) -> Withdrawal:
        """Read the payload of a `withdrawal` record."""
        return cls.read(open_record(payload, "withdrawal"))

    @classmethod
    def read(cls, fields: Fields) -> Withdrawal:
        """Read the fields of a payload."""
        return cls(
            publisher=fields.digest("publisher"),
            dataset=fields.digest("dataset"),
            revision=fields.integer("revision", minimum=2, maximum=limits.REVISION_MAX),
            previous=fields.digest("previous"),
            issued=fields.integer("issued"),
            reason=fields.prose("reason", length_max=limits.LINE_LENGTH_MAX),
            successor=fields.digest_or_none("successor"),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if peers would refuse it."""
        return encode_record("withdrawal", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A publisher's signed summary of all its records of one scope, good until `expires`."""

    publisher: PublisherId
    issued: int
    scope: str
    sequence: int
    count: int
    root: DigestHex
    expires: int

    @classmethod
    def from_bytes(cls, payload: bytes) -> Head:
        """Read the payload of a `head` record."""
        return cls.read(open_record(payload, "head"))

    @classmethod
    def read(cls, fields: Fields) -> Head:
        """Read the fields of a payload."""
        issued = fields.integer("issued", maximum=limits.INTEGER_MAX - limits.HEAD_LIFETIME_MAX_S)
        latest = issued + limits.HEAD_LIFETIME_MAX_S
        return cls(
            publisher=fields.digest("publisher"),
            issued=issued,
            scope=fields.choice("scope", HEAD_SCOPES),
            sequence=fields.integer("sequence", minimum=1),
            count=fields.integer("count"),
            root=fields.digest("root"),
            expires=fields.integer("expires", minimum=issued + 1, maximum=latest),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if peers would refuse it."""
        return encode_record("head", self)


Record: TypeAlias = Identity | NodeInfo | Dataset | Withdrawal | Head

_READERS: dict[str, Callable[[Fields], Record]] = {
    "identity": Identity.read,
    "node": NodeInfo.read,
    "dataset": Dataset.read,
    "withdrawal": Withdrawal.read,
    "head": Head.read,
}
_KINDS = frozenset(_READERS)
_TYPES: dict[type[Record], str] = {
    Identity: "identity",
    NodeInfo: "node",
    Dataset: "dataset",
    Withdrawal: "withdrawal",
    Head: "head",
}


def parse_record(payload: bytes) -> Record:
    """Return the record that a payload holds, whatever its type.

    Unknown fields are ignored here and kept in the bytes.

    Raises:
        MalformedError: A rule of protocol.md 4 is broken; the message names the field.
        SizeLimitError: The payload is over 1 MiB.
    """
    usual = read_usual(payload)
    if usual is not None:
        return usual
    fields = open_record(payload)
    return _READERS[fields.choice("type", _KINDS)](fields)


def type_of(record: Record) -> str:
    """Return the record's `type`."""
    return _TYPES[type(record)]


def read_node_urls(fields: Fields) -> tuple[str, ...]:
    """Return a node's base URLs: no user, query or fragment, without a slash at the end."""
    urls = fields.items("urls", count_max=limits.URLS_MAX)
    for url in urls:
        if type(url) is not str or NODE_URL.fullmatch(url) is None:
            fields.fail("urls", "http or https URLs without user, query or slash at the end")
    return tuple(urls)  # type: ignore[arg-type]


def _keys(fields: Fields) -> tuple[Key, ...]:
    keys = tuple(
        Key(key=_did(item, "key"), role=item.choice("role", KEY_ROLES))
        for item in fields.objects("keys", count_min=2, count_max=limits.KEYS_MAX)
    )
    if len({key.key for key in keys}) != len(keys):
        fields.fail("keys", "every key once")
    if {key.role for key in keys} != KEY_ROLES:
        fields.fail("keys", "at least one online and one recovery key")
    return keys


def _signed_by(fields: Fields, *, absent: bool) -> str | None:
    if not absent:
        return _did(fields, "signed_by")
    if fields.has("signed_by"):
        fields.fail("signed_by", "no such field in the first revision")
    return None


def _did(fields: Fields, name: str) -> str:
    text = fields.line(name, length_max=limits.TERM_LENGTH_MAX)
    try:
        parse_did_key(text)
    except MalformedError:
        fields.fail(name, "a did:key of an Ed25519 key")
    return text
