"""The pictures of a .smlm archive: listed images, raw arrays, and the thumbnail."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator

from smlmfmt.smlm.archive import Archive, Entry
from smlmfmt.smlm.manifest import IMAGE_SUFFIXES
from smlmfmt.smlm.spec import ImageSpec, Manifest, member_name
from smlmfmt.table import Image

__all__ = ["LAYOUT", "THUMBNAIL", "find", "read_images"]

# The key of an image's metadata under which a raw array's format object is kept.
LAYOUT = "layout"
DTYPE_SIZES = {
    **dict.fromkeys(("uint8", "int8"), 1),
    **dict.fromkeys(("uint16", "int16", "float16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64"), 8),
}
THUMBNAIL = "thumbnail"
IMAGE_SIZE_MAX = 1 << 30
THUMBNAIL_SIZE_MAX = 8 << 20


def read_images(archive: Archive, manifest: Manifest, *, folder: str) -> Iterator[Image]:
    """Yield the listed images, then the thumbnail as the image named "thumbnail".

    An image that is listed but absent, or a thumbnail that cannot be decoded, is a warning: the
    tables are what the file is for.
    """
    for spec in manifest.images:
        entry = find(archive, folder, spec.member)
        if entry is None:
            manifest.warnings.append(f"image {spec.member!r} is listed but not in the archive")
            continue
        yield _image(spec, archive.read(entry, size_max=IMAGE_SIZE_MAX))
    yield from _thumbnail(archive, manifest, folder=folder)


def find(archive: Archive, folder: str, member: str) -> Entry | None:
    """Return the entry a manifest means by a name."""
    return archive.entries.get(folder + member_name(member))


def _image(spec: ImageSpec, data: bytes) -> Image:
    layout = {LAYOUT: dict(spec.layout)} if spec.layout else {}
    return Image(
        name=spec.member,
        data=data,
        media_type=spec.media_type,
        channel=spec.channel,
        shape=_whole_shape(spec, len(data)),
        dtype=spec.dtype,
        metadata={**spec.entry, **layout},
    )


def _whole_shape(spec: ImageSpec, size: int) -> tuple[int, ...] | None:
    """Return a shape whose one open size, if any, is what the bytes hold; else without it."""
    if spec.shape is None:
        return None
    known = tuple(length for length in spec.shape if length is not None)
    item_size = DTYPE_SIZES.get(spec.dtype, 0) * math.prod(known)
    offset = spec.layout.get("offset")
    held = size - offset if isinstance(offset, int) else size
    if len(spec.shape) - len(known) != 1 or not item_size or held < 0 or held % item_size:
        return known
    return tuple(held // item_size if length is None else length for length in spec.shape)


def _thumbnail(archive: Archive, manifest: Manifest, *, folder: str) -> Iterator[Image]:
    given = manifest.plain.get("thumbnail")
    if not isinstance(given, str) or not given:
        given = "_thumbnail.png"
        if find(archive, folder, given) is None:
            return
    if given.startswith("data:"):
        yield from _inline_thumbnail(given, manifest)
        return
    entry = find(archive, folder, given)
    suffix = "." + given.rpartition(".")[2].lower()
    if entry is None or suffix not in IMAGE_SUFFIXES:
        manifest.warnings.append(f"the thumbnail {given[:80]!r} is not an image in the archive")
        return
    data = archive.read(entry, size_max=THUMBNAIL_SIZE_MAX)
    yield Image(name=THUMBNAIL, data=data, media_type=IMAGE_SUFFIXES[suffix])


def _inline_thumbnail(uri: str, manifest: Manifest) -> Iterator[Image]:
    header, _, body = uri.partition(",")
    media_type = header.removeprefix("data:").partition(";")[0]
    if not header.endswith(";base64") or media_type not in IMAGE_SUFFIXES.values():
        manifest.warnings.append("the thumbnail in the manifest is no base64 PNG or JPEG")
        return
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        manifest.warnings.append(f"the thumbnail in the manifest cannot be decoded: {error}")
        return
    yield Image(name=THUMBNAIL, data=data, media_type=media_type)
