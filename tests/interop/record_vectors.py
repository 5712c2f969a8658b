"""The vectors in vectors/records.json: `python -m tests.interop.record_vectors` prints them.

They pin bytes, ids, signatures and verdicts, so that another implementation can be checked without
running ours, and so that ours cannot drift.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from protocol.admission import Policy
from protocol.envelope import Envelope, pre_authentication_encoding, seal
from protocol.head import ids_root
from protocol.hello import HELLO_TYPE, Hello
from protocol.identity import DigestHex, SigningKey
from protocol.messages import (
    NodeDocument,
    OfferAnswer,
    PeerReport,
    encode_answers,
    encode_ids,
    encode_peers,
)
from protocol.payload import encode_json
from protocol.records import (
    Author,
    BlobRef,
    Citation,
    ColumnSummary,
    Dataset,
    Drift,
    File,
    Frames,
    Head,
    Identity,
    Key,
    NodeInfo,
    Precision,
    Resolution,
    Sample,
    SavedView,
    TableSummary,
    Tag,
    Withdrawal,
)
from tests.protocol.catalog import Catalog

NOW = 1_790_000_000
ONLINE, RECOVERY, NEXT, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
ROLES = {"online": ONLINE, "recovery": RECOVERY, "next": NEXT, "stranger": STRANGER}


def digest(byte: int) -> DigestHex:
    return DigestHex(bytes([byte] * 32).hex())


FIRST = Identity(
    revision=1,
    issued=NOW,
    keys=(Key(key=ONLINE.did, role="online"), Key(key=RECOVERY.did, role="recovery")),
)
IDENTITY = seal(FIRST.to_bytes(), [ONLINE, RECOVERY])
PUBLISHER = IDENTITY.id
ROTATION = seal(
    Identity(
        publisher=PUBLISHER,
        revision=2,
        previous=PUBLISHER,
        issued=NOW + 100,
        keys=(Key(key=NEXT.did, role="online"), Key(key=RECOVERY.did, role="recovery")),
        signed_by=ONLINE.did,
    ).to_bytes(),
    [ONLINE, NEXT],
)
NODE = seal(
    NodeInfo(
        publisher=PUBLISHER,
        revision=1,
        issued=NOW,
        name="Löwe lab",
        institution="Institute of Optics",
        contact="node@example.org",
        urls=("https://smlm.example.org",),
        software="locmesh 0.1.0",
    ).to_bytes(),
    [ONLINE],
)


def dataset(*, by: SigningKey = ONLINE, **changes: object) -> Envelope:
    column = ColumnSummary(
        name="x", unit="nm", source="x [nm]", min=0.5, max=9000.0, mean=4500.25, median=4480.5
    )
    table = TableSummary(
        name="cell1",
        rows=120_000,
        columns=(column,),
        bounds={"x": (0.5, 9000.0), "y": (1.0, 8000.0)},
        frames=Frames(first=1, last=20_000, origin=1),
        dimension=2,
        density_per_um2=1666.9,
        uncertainty_nm=9.5,
        localizations_per_frame=6.0,
        precision=Precision(precision_nm=8.25, pairs=41_000),
        resolution=Resolution(
            resolution_nm=34.5, pixel_nm=4.5, field_nm=9000.0, rows=120_000, split="frames", seed=1
        ),
        drift=Drift(drift_nm=3.5, uncertainty_nm=1.25),
        pyramid=BlobRef(
            sha256=digest(0x15),
            size=980_000,
            merkle_root=digest(0x16),
            media_type="application/vnd.locmesh.pyramid",
        ),
        signature="1:46403f4a5c4d2a30405059636d74777a7e7f80",
        non_finite=0,
    )
    original = File(
        name="cell1.csv",
        role="original",
        media_type="text/csv",
        size=9_000_000,
        sha256=digest(0x11),
        merkle_root=digest(0x12),
        format="thunderstorm",
        tables=(table,),
    )
    picture = BlobRef(
        sha256=digest(0x13), size=40_000, merkle_root=digest(0x14), media_type="image/png"
    )
    fields: dict[str, object] = {
        "publisher": PUBLISHER,
        "revision": 1,
        "issued": NOW,
        "visibility": "public",
        "name": "Nuclear pores in U2OS",
        "description": "dSTORM of Nup96-SNAP.\nTwo fields of view.",
        "authors": (Author(name="Ada Löwe", orcid="0000-0002-1825-0097"),),
        "contact": "ada@example.org",
        "license": "CC-BY-4.0",
        "tags": (Tag(category="modality", term="dstorm", label="dSTORM"),),
        "citation": (Citation(text="Löwe et al., 2026", doi="10.5281/zenodo.1"),),
        "samples": (Sample(name="cell 1", files=(original,), thumbnail=picture),),
        "views": (SavedView(name="One pore", sample="cell 1", state="v=1&at=4100,2050&nm=2"),),
    }
    return seal(Dataset(**(fields | changes)).to_bytes(), [by])  # type: ignore[arg-type]


ONE = dataset()
CHAIN: dict[str, Any] = {"dataset": ONE.id, "revision": 2, "previous": ONE.id}
TWO = dataset(name="Nuclear pores in U2OS, corrected", **CHAIN)
FORK = dataset(name="Nuclear pores in U2OS, contradicted", **CHAIN)
LATE = dataset(name="Signed with a retired key", issued=NOW + 101)
END = seal(
    Withdrawal(
        publisher=PUBLISHER,
        dataset=ONE.id,
        revision=3,
        previous=TWO.id,
        issued=NOW + 50,
        reason="The wrong cell line.",
    ).to_bytes(),
    [ONLINE],
)


def head(sequence: int, *, by: SigningKey = ONLINE, count: int = 5) -> Envelope:
    ids = [bytes.fromhex(item.id) for item in (IDENTITY, NODE, ONE, TWO, END)]
    record = Head(
        publisher=PUBLISHER,
        issued=NOW + 60,
        scope="public",
        sequence=sequence,
        count=count,
        root=ids_root(ids),
        expires=NOW + 60 + 14 * 86_400,
    )
    return seal(record.to_bytes(), [by])


# What a catalog hears, at which time; the verdicts are what it must answer.
STORY: tuple[tuple[str, Envelope, int], ...] = (
    ("a dataset before its publisher is known", ONE, NOW),
    ("the publisher's first identity", IDENTITY, NOW),
    ("a revision before the one it follows", TWO, NOW),
    ("the dataset again", ONE, NOW),
    ("the revision again", TWO, NOW),
    ("the same once more", TWO, NOW),
    ("a replay of the older revision", ONE, NOW),
    ("another record of revision 2", FORK, NOW),
    ("the node", NODE, NOW),
    ("a dataset by a key nobody named", dataset(by=STRANGER), NOW),
    ("a dataset by the recovery key", dataset(by=RECOVERY), NOW),
    ("a withdrawal", END, NOW),
    ("a head", head(2), NOW),
    ("an older head", head(1), NOW),
    ("another head of the same sequence", head(2, count=6), NOW),
    ("an identity too far in the future", ROTATION, NOW - 501),
    ("the identity in time", ROTATION, NOW),
    ("a dataset by the retired key, issued later", LATE, NOW),
    ("a head by the retired key", head(3), NOW),
    ("a head by the new key", head(1, by=NEXT), NOW),
)


def malformed() -> dict[str, str]:
    """Return payloads that must be refused, as text, by what is wrong with them."""
    text = head(1).payload.decode()
    assert text.startswith('{"count":5,')
    return {
        "a key twice": text.replace('{"count":5,', '{"count":5,"count":5,'),
        "NaN": text.replace('"count":5', '"count":NaN'),
        "a fraction where an integer belongs": text.replace('"count":5', '"count":5.0'),
        "an integer beyond 2^53": text.replace('"count":5', '"count":9007199254740993'),
        "a lone surrogate in a field nobody knows": text.replace("{", '{"x":"\\ud800",', 1),
        "nested too deep": text.replace("{", '{"x":' + "[" * 16 + "]" * 16 + ",", 1),
        "a number no float holds": text.replace("{", '{"x":1e999,', 1),
        "upper-case hex": text.replace(PUBLISHER, PUBLISHER.upper()),
        "another protocol": text.replace('"protocol":1', '"protocol":2'),
        "an unknown type": text.replace('"type":"head"', '"type":"tail"'),
        "bytes after the object": text + " {}",
        "an array": f"[{text}]",
    }


def record_vectors() -> dict[str, object]:
    hello = Hello(publisher=PUBLISHER, nonce="0f" * 16, issued=NOW, url="http://a.example:8750")
    hi = seal(hello.to_bytes(), [ONLINE], payload_type=HELLO_TYPE)
    catalog = Catalog(Policy())
    story = []
    for title, envelope, now in STORY:
        verdict = catalog.offer(envelope, now=now)
        story.append(
            {
                "title": title,
                "now": now,
                "envelope": envelope.to_bytes().hex(),
                "action": verdict.action.value,
                "reason": verdict.reason.value,
                "current": verdict.current,
                "fork": verdict.fork,
                "awaits": verdict.awaits,
            }
        )
    envelopes = {"identity": IDENTITY, "node": NODE, "dataset": ONE, "rotation": ROTATION}
    envelopes |= {"withdrawal": END, "head": head(2), "hello": hi}
    return {
        "keys": {
            role: {"seed": key.seed.hex(), "public": key.public.hex(), "did": key.did}
            for role, key in ROLES.items()
        },
        "pae": {
            "payloadType": "http://example.com/HelloWorld",
            "payload": "hello world",
            "encoded": pre_authentication_encoding(
                "http://example.com/HelloWorld", b"hello world"
            ).decode(),
        },
        "records": {
            name: {
                "payload": item.payload.decode(),
                "id": item.id,
                "envelope": item.to_bytes().hex(),
                "dsse": json.loads(item.to_json()),
            }
            for name, item in envelopes.items()
        },
        "malformed": malformed(),
        "admission": story,
        "accepted": sorted(catalog.accepted),
        "shown": sorted([chain.kind, chain.id, record] for chain, record in catalog.view().items()),
        "heads": sorted(known.id for known in catalog.heads.values()),
        "root": {
            "ids": [IDENTITY.id, NODE.id, ONE.id, TWO.id, END.id],
            "root": ids_root([bytes.fromhex(item.id) for item in (IDENTITY, NODE, ONE, TWO, END)]),
        },
        "messages": messages(hi),
    }


def messages(hello: Envelope) -> dict[str, str]:
    document = NodeDocument(
        publisher=PUBLISHER,
        protocols=(1,),
        software="locmesh 0.1.0",
        now=NOW,
        identities=(IDENTITY,),
        node=NODE,
        hello=hello,
        limits={"record_ids": 1000},
    )
    answer = OfferAnswer(id=ONE.id, action="reject", reason="future", detail="too early")
    peer = PeerReport(
        publisher=PUBLISHER, name="B", urls=("http://b.example",), reachable=False, since=NOW
    )
    return {
        "node": document.encode().hex(),
        "ids": encode_ids([ONE.id, TWO.id]).hex(),
        "answers": encode_answers([answer]).hex(),
        "peers": encode_peers([peer]).hex(),
    }


def vectors_bytes() -> bytes:
    """Return the file's bytes."""
    parsed = json.loads(encode_json(record_vectors()))
    return (json.dumps(parsed, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


if __name__ == "__main__":
    sys.stdout.buffer.write(vectors_bytes())
