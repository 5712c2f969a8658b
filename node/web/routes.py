"""Every address of a node, in one table."""

from __future__ import annotations

from aiohttp import web

from node.web import api, archive, auth, blobs, pages, pyramids, region, sync, view
from node.web.assets import Assets
from node.web.visit import set_theme

__all__ = ["routes"]


def routes(assets: Assets) -> list[web.RouteDef]:
    """Return the table; what is more special comes first."""
    return [
        # Pages, and the same facts as JSON.
        web.get("/", pages.get_search_page),
        web.get("/datasets/{id:[0-9a-f]+}", pages.get_dataset_page),
        web.get("/datasets/{id:[0-9a-f]+}.json", api.get_dataset),
        web.get("/datasets/{id:[0-9a-f]+}/view", view.get_view_page),
        web.get("/datasets/{id:[0-9a-f]+}/view.json", view.get_view_document),
        web.get("/datasets/{id:[0-9a-f]+}/image.png", view.get_image),
        web.get("/datasets/{id:[0-9a-f]+}/region.json", region.get_region_count),
        web.get("/datasets/{id:[0-9a-f]+}/region", region.get_region, allow_head=False),
        web.get("/datasets/{id:[0-9a-f]+}/files.zip", archive.get_archive),
        web.get("/datasets/{id:[0-9a-f]+}/files/{sha256}", blobs.get_file_by_hash),
        web.get("/datasets/{id:[0-9a-f]+}/files/{sha256}/{name}", blobs.get_file),
        web.get("/publishers", pages.get_publishers_page),
        web.get("/publishers.json", api.get_publishers),
        web.get("/publishers/{id:[0-9a-f]+}", pages.get_publisher_page),
        web.get("/publishers/{id:[0-9a-f]+}.json", api.get_publisher),
        web.get("/network", pages.get_network_page),
        web.get("/network.json", api.get_network),
        web.get("/network/{peer:[0-9a-f]+}", pages.get_peer_page),
        web.get("/network/{peer:[0-9a-f]+}.json", api.get_peer),
        web.post("/network/{peer:[0-9a-f]+}", pages.post_peer),
        web.get("/drafts", pages.get_drafts_page),
        # Following a link must be the only thing that uses it up: no HEAD.
        web.get("/login", pages.get_login_page, allow_head=False),
        web.post("/logout", auth.post_logout),
        web.post("/theme", set_theme),
        web.get("/static/{version}/{name:[a-z0-9/._-]+}", assets.get),
        # For programs.
        web.get("/api/v1/search", api.get_search),
        web.get("/api/v1/datasets/{id}", api.get_dataset),
        web.get("/records/{id}", api.get_record),
        web.get("/records/{id}/envelope", api.get_record_envelope),
        web.get("/blobs/{sha256}", blobs.get_blob),
        web.get("/blobs/{sha256}/pieces", blobs.get_pieces),
        web.get("/pyramids/{sha256}/head", pyramids.get_pyramid_head),
        web.get("/pyramids/{sha256}/index", pyramids.get_pyramid_index),
        web.get("/pyramids/{sha256}/tiles", pyramids.get_tiles),
        web.get("/pyramids/{sha256}/tiles/{k}", pyramids.get_tile),
        # For operators.
        web.get("/healthz", api.get_health),
        web.get("/-/versions", api.get_versions),
        web.get("/-/settings", api.get_settings),
        web.get("/-/peers", api.get_peers),
        # For other nodes.
        *sync.routes(),
    ]
