"""What a .smlm manifest says, read as tolerantly as its writers are inventive.

Every way in which a manifest leaves the dialect that all known readers accept is put down in
`Manifest.deviations`, with who stumbles over it; what a user should know of goes to `warnings`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from smlmfmt.errors import HeaderError, SizeLimitError
from smlmfmt.smlm.spec import ImageSpec, Manifest, integer, member_name, plain_text, short
from smlmfmt.smlm.tables import TableParser

__all__ = [
    "FORMAT_VERSION",
    "IMAGE_SUFFIXES",
    "MANIFEST_SIZE_MAX",
    "RAW_LAYOUT_KEYS",
    "parse_manifest",
]

FORMAT_VERSION = "0.2"

MANIFEST_SIZE_MAX = 16 << 20
MANIFEST_DEPTH_MAX = 32
FILE_COUNT_MAX = 1024
# What a format object says of raw pixels, as it says it.
RAW_LAYOUT_KEYS = ("dtype", "shape", "offset", "units", "description")
IMAGE_SUFFIXES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def parse_manifest(data: bytes, *, name: str) -> Manifest:
    """Return what the bytes of a manifest.json say.

    Raises:
        HeaderError: It is not JSON, or does not say how a table is to be read.
        SizeLimitError: It is nested or long beyond what a reader grants.
    """
    manifest = Manifest(plain=_plain_json(data, name))
    version = manifest.plain.get("format_version")
    is_first = _is_one(version)
    if version != FORMAT_VERSION:
        manifest.deviate(
            f"format_version is {version!r}, not '0.2': shareloc-utils and Locan refuse"
        )
    formats = manifest.plain.get("formats")
    if not isinstance(formats, dict):
        formats = {}
    files = manifest.plain.get("files")
    if not isinstance(files, list):
        raise HeaderError(f"{name}: manifest.json: 'files' must be a list of file entries")
    if len(files) > FILE_COUNT_MAX:
        raise SizeLimitError(f"{name}: manifest.json: {len(files)} files, {FILE_COUNT_MAX} allowed")
    listed: set[str] = set()
    for index, entry in enumerate(files):
        where = f"{name}: manifest.json: files[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise HeaderError(f"{where} must be an object with a 'name'")
        member = member_name(entry["name"])
        if member in listed:
            raise HeaderError(f"{where}: {member!r} is listed twice")
        listed.add(member)
        _add_file(manifest, entry, formats=formats, is_first=is_first, where=where)
    return manifest


def _plain_json(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > MANIFEST_SIZE_MAX:
        raise SizeLimitError(f"{name}: manifest.json: {len(data)} B, {MANIFEST_SIZE_MAX} B allowed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        parsed = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"{name}: manifest.json is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise HeaderError(f"{name}: manifest.json must be a JSON object")
    plain = _plain(parsed, depth=0, name=name)
    assert isinstance(plain, dict)
    return plain


def _plain(value: object, *, depth: int, name: str) -> object:
    """Return a JSON value without infinities and lone surrogates, nested within the limit."""
    if depth > MANIFEST_DEPTH_MAX:
        raise SizeLimitError(f"{name}: manifest.json is nested deeper than {MANIFEST_DEPTH_MAX}")
    if isinstance(value, dict):
        return {
            _plain_text(key): _plain(item, depth=depth + 1, name=name)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_plain(item, depth=depth + 1, name=name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _plain_text(value) if isinstance(value, str) else value


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_one(version: object) -> bool:
    # The ShareLoc app compares with JavaScript's ==, to which 1, "1" and "1.0" are the same.
    return str(version) in ("1", "1.0")


def _add_file(
    manifest: Manifest,
    entry: dict[str, Any],
    *,
    formats: Mapping[str, Any],
    is_first: bool,
    where: str,
) -> None:
    key = entry.get("format")
    found = formats.get(key) if isinstance(key, str) else None
    layout = found if isinstance(found, dict) else {}
    suffix = "." + entry["name"].rpartition(".")[2].lower()
    kind = entry.get("type") or layout.get("type")
    if kind == "image" or (kind != "table" and suffix in IMAGE_SUFFIXES):
        if not manifest.tables:
            manifest.deviate("an image comes before the first table: shareloc-utils fails")
        manifest.images.append(_image(entry, layout, suffix=suffix, where=where))
        return
    if kind not in ("table", None):
        manifest.warnings.append(f"{where}: {entry['name']!r} is a {short(kind)}; not read")
        return
    if not layout:
        layout = _only_table_format(formats, where=where)
        manifest.deviate(f"{entry['name']}: its format {short(key)} is not described")
    table = TableParser(manifest, entry, layout, where=where)
    manifest.tables.append(table.parse(is_first=is_first))


def _only_table_format(formats: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    tables = [
        layout
        for layout in formats.values()
        if isinstance(layout, dict) and layout.get("type", "table") == "table"
    ]
    if len(tables) != 1:
        raise HeaderError(f"{where}: 'format' must name one of 'formats'")
    return tables[0]


def _image(
    entry: Mapping[str, Any], layout: Mapping[str, Any], *, suffix: str, where: str
) -> ImageSpec:
    key = str(entry.get("format", "")).lower()
    media_type = IMAGE_SUFFIXES.get("." + key) or IMAGE_SUFFIXES.get(suffix)
    if media_type is None:
        sizes = layout.get("shape")
        open_shape: tuple[int | None, ...] | None = None
        if isinstance(sizes, list):
            open_shape = tuple(
                None if size is None else integer(size, where=f"{where}: shape") for size in sizes
            )
        return ImageSpec(
            member=entry["name"],
            channel=plain_text(entry.get("channel")),
            media_type="application/octet-stream",
            shape=open_shape,
            dtype=str(layout.get("dtype", "")).lower(),
            layout={key: layout[key] for key in RAW_LAYOUT_KEYS if key in layout},
            entry=entry,
        )
    given = entry.get("size")
    shape = None
    if isinstance(given, list):
        shape = tuple(integer(size, where=f"{where}: size") for size in given)
    return ImageSpec(
        member=entry["name"],
        channel=plain_text(entry.get("channel")),
        media_type=media_type,
        shape=shape,
        dtype="",
        layout={},
        entry=entry,
    )
