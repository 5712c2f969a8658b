"""How a record names bytes, and what of a dataset is a view for people (protocol.md 4.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol import limits
from protocol.identity import BlobId, DigestHex
from protocol.payload import Fields

__all__ = [
    "PICTURES",
    "PYRAMIDS",
    "PYRAMID_TYPE",
    "STATE",
    "BlobRef",
    "SavedView",
    "read_pyramid",
    "read_thumbnail",
    "read_views",
]

PYRAMID_TYPE = "application/vnd.locmesh.pyramid"
PYRAMIDS = frozenset({PYRAMID_TYPE})
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})
# What a URL's fragment holds as it is: pairs of form-urlencoded text, beginning with the version.
STATE = re.compile(
    rf"v=1(?=[&]|\Z)[\w.~!$&'()*+,;=:@/?%-]{{0,{limits.STATE_LENGTH_MAX - 3}}}", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Bytes by their names: the SHA-256 of all, and the BEP 52 Merkle root that checks ranges."""

    sha256: BlobId
    size: int
    merkle_root: DigestHex
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A place worth looking at: the state of the viewer at one sample, under a name."""

    name: str
    sample: str
    state: str
    thumbnail: BlobRef | None = None


def read_thumbnail(fields: Fields) -> BlobRef | None:
    """Read the `thumbnail` of a sample or a saved view."""
    return _read(fields, "thumbnail", size_max=limits.THUMBNAIL_SIZE_MAX, media_types=PICTURES)


def read_pyramid(fields: Fields) -> BlobRef | None:
    """Read the `pyramid` of a table."""
    return _read(fields, "pyramid", size_max=limits.BLOB_SIZE_MAX, media_types=PYRAMIDS)


def read_views(fields: Fields) -> tuple[SavedView, ...]:
    """Read the `views` of a dataset, each name once."""
    views = tuple(
        SavedView(
            name=item.line("name", length_max=limits.NAME_LENGTH_MAX),
            sample=item.line("sample", length_max=limits.NAME_LENGTH_MAX),
            state=item.matching("state", STATE, "a state of the viewer, like v=1&at=0,0&nm=20"),
            thumbnail=read_thumbnail(item),
        )
        for item in fields.objects("views", count_max=limits.VIEWS_MAX)
    )
    if len({view.name for view in views}) != len(views):
        fields.fail("views", "every name once")
    return views


def _read(
    fields: Fields, name: str, *, size_max: int, media_types: frozenset[str]
) -> BlobRef | None:
    item = fields.child(name)
    if item is None:
        return None
    return BlobRef(
        sha256=item.digest("sha256"),
        size=item.integer("size", minimum=1, maximum=size_max),
        merkle_root=item.digest("merkle_root"),
        media_type=item.choice("media_type", media_types),
    )
