"""One page of results, from the table."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlite_utils

from node.catalog.view import CURRENT
from node.catalog.views import Hit, HitSummary, HitTag, Viewer
from node.storage.blobs import DirectoryBlobs

__all__ = ["read_hits"]


def read_hits(
    db: sqlite_utils.Database,
    rows: Sequence[int],
    *,
    viewer: Viewer,
    own: str | None,
    blobs: DirectoryBlobs | None,
) -> tuple[Hit, ...]:
    """Return the datasets in these rows, in their order, as far as the viewer may see them.

    Args:
        db: In a transaction.
        rows: Rows of `datasets`.
        viewer: Who asks.
        own: This node's publisher id.
        blobs: What this node holds itself.
    """
    if not rows:
        return ()
    marks = ",".join("?" * len(rows))
    levels = ",".join("?" * len(viewer.visibilities))
    sql = f"""select shown.seq, shown.id as dataset, shown.revision, shown.forked,
                     shown.visibility, shown.issued, shown.name, license, cards.card,
                     records.id as record, publishers.id as publisher,
                     publishers.name as publisher_name, institution
              from datasets as shown
              join publishers on publishers.seq = shown.publisher
              join records on records.seq = shown.current
              join cards on cards.dataset = shown.seq
              where shown.seq in ({marks}) and status = {CURRENT} and not blocked
                  and shown.visibility in ({levels})"""
    found = {row["seq"]: row for row in db.query(sql, [*rows, *viewer.visibilities])}
    holders = _count_holders(db, list(found), own=own, blobs=blobs)
    return tuple(_hit(found[seq], holders.get(seq, 0)) for seq in rows if seq in found)


def _hit(row: dict[str, Any], holders: int) -> Hit:
    card = msgspec.json.decode(row["card"])
    return Hit(
        dataset=row["dataset"],
        revision=row["revision"],
        record=row["record"],
        name=row["name"],
        description=card["description"],
        authors=tuple(card["authors"]),
        tags=tuple(
            HitTag(category=category, term=term, label=label or term, curie=curie or None)
            for category, term, label, curie in card["tags"]
        ),
        license=row["license"],
        publisher=row["publisher"],
        publisher_name=row["publisher_name"],
        institution=row["institution"],
        thumbnail=card["thumbnail"],
        summary=HitSummary(**card["summary"]),
        holders=holders,
        issued=row["issued"],
        status="forked" if row["forked"] else "current",
        visibility=row["visibility"],
    )


def _count_holders(
    db: sqlite_utils.Database,
    rows: Sequence[int],
    *,
    own: str | None,
    blobs: DirectoryBlobs | None,
) -> dict[int, int]:
    """Return how many nodes have all files of each dataset, this one among them."""
    marks = ",".join("?" * len(rows))
    sql = f"""select dataset, holdings.publisher, blob from dataset_blobs
              left join holdings using (blob)
              where dataset in ({marks}) and current and kind = 'file'"""
    files: dict[int, set[bytes]] = {}
    held: dict[int, dict[str, int]] = {}
    for dataset, publisher, blob in db.conn.execute(sql, rows):
        files.setdefault(dataset, set()).add(blob)
        if publisher is not None and publisher != own:
            counts = held.setdefault(dataset, {})
            counts[publisher] = counts.get(publisher, 0) + 1
    totals = {}
    for dataset, wanted in files.items():
        counts = held.get(dataset, {})
        is_local = blobs is not None and all(blobs.holds(blob.hex()) for blob in wanted)
        totals[dataset] = sum(count == len(wanted) for count in counts.values()) + is_local
    return totals
