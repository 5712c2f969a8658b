"""Stylesheet, scripts and pictures of the pages, named by a version so that they never go stale."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

__all__ = ["Assets"]

FOLDER = Path(__file__).parent / "static"
_IMMUTABLE = "public, max-age=31536000, immutable"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    media_type: str
    etag: str


class Assets:
    """Every file of `static/`, read once at start: they are few and small."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(f"{name}\0{asset.etag}\0".encode())
        # One version for all, so that modules import one another by relative names.
        self.version = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Return where pages find a file."""
        assert name in self._assets, f"there is no static file {name}"
        return f"/static/{self.version}/{name}"

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET /static/{version}/{name}: forever under its own version, to be asked again else."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        is_current = request.match_info["version"] == self.version
        headers = {"Cache-Control": _IMMUTABLE if is_current else "no-cache"}
        tags = request.if_none_match or ()
        if any(tag.value == asset.etag for tag in tags):
            return web.Response(status=304, headers=headers | {"ETag": f'"{asset.etag}"'})
        response = web.Response(
            body=asset.body,
            content_type=asset.media_type,
            charset="utf-8" if asset.media_type.startswith("text/") else None,
            headers=headers,
        )
        response.etag = asset.etag
        response.enable_compression()
        return response


def _read(path: Path) -> _Asset:
    body = path.read_bytes()
    # Not the machine's own table of types: Windows' registry often calls scripts text/plain.
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return _Asset(
        body, guessed or "application/octet-stream", hashlib.sha256(body).hexdigest()[:16]
    )
