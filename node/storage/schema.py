"""The tables of a home, as numbered migrations: one is added, none is ever changed.

Datasets, publishers and blobs are named outside by 64 hex digits; inside, rows refer to publishers
and records by their small `seq`. Times are whole seconds since 1970, UTC.
"""

from pathlib import Path

import sqlite_utils

from node.errors import ConfigError

__all__ = ["MIGRATIONS", "is_current", "upgrade"]

MIGRATIONS = sqlite_utils.Migrations("locmesh")


def is_current(db: sqlite_utils.Database, *, path: Path) -> bool:
    """Say whether the tables are of the newest schema. Waits for nobody: it only reads.

    Raises:
        ConfigError: A newer Locmesh has been here, whose tables this one does not know.
    """
    # The pending ones of an empty database are all that this version knows.
    empty = sqlite_utils.Database(memory=True, execute_plugins=False)
    known = {migration.name for migration in MIGRATIONS.pending(empty)}
    strange = sorted({migration.name for migration in MIGRATIONS.applied(db)} - known)
    if strange:
        raise ConfigError(
            f"{path} was written by a newer Locmesh (it has {', '.join(strange)}); "
            "install that version, or use another home"
        )
    return not MIGRATIONS.pending(db)


def upgrade(db: sqlite_utils.Database) -> None:
    """Bring the tables to the newest schema."""
    MIGRATIONS.apply(db)


@MIGRATIONS(name="0001_catalog")
def catalog(db: sqlite_utils.Database) -> None:
    """Everything that was accepted, byte for byte, and what is derived from it."""
    db.executescript(_CATALOG)


_CATALOG = """
create table publishers (
    seq integer primary key,
    id text not null unique,
    name text not null default '',
    institution text not null default '',
    contact text not null default '',
    urls text not null default '[]',
    software text not null default '',
    records integer not null default 0,
    bytes integer not null default 0,
    blocked integer not null default 0,
    forked integer not null default 0,
    version integer not null default 0,
    epoch integer not null default 0,
    added integer not null
);
create table records (
    seq integer primary key,
    id text not null unique,
    type text not null,
    publisher integer not null references publishers(seq),
    chain text not null,
    revision integer not null,
    previous text,
    scope text not null,
    issued integer not null,
    signer blob not null,
    counts integer not null default 1,
    received integer not null,
    source text not null
);
create index records_chain on records (chain, revision);
create index records_publisher on records (publisher, scope);
create table payloads (
    record integer primary key references records(seq),
    payload_type text not null,
    payload blob not null,
    signatures blob not null
);
create table heads (
    publisher integer not null references publishers(seq),
    scope text not null,
    id text not null unique,
    sequence integer not null,
    count integer not null,
    root text not null,
    issued integer not null,
    expires integer not null,
    envelope blob not null,
    primary key (publisher, scope)
);
create table held (
    seq integer primary key,
    id text not null unique,
    waits_for text not null,
    source text not null,
    reason text not null,
    received integer not null,
    size integer not null,
    envelope blob not null
);
create index held_waits_for on held (waits_for);
create index held_source on held (source);
create table rejections (
    seq integer primary key autoincrement,
    source text not null,
    record text not null,
    reason text not null,
    detail text not null,
    at integer not null
);
create index rejections_source on rejections (source, seq);
create table changes (
    seq integer primary key autoincrement,
    publisher integer not null references publishers(seq),
    scope text not null,
    first_record integer not null,
    last_record integer not null,
    heads integer not null
);
"""


@MIGRATIONS(name="0002_current_view")
def current_view(db: sqlite_utils.Database) -> None:
    """What search shows: one row for each dataset, of its newest revision.

    `status` is 0 if it is shown, 1 if withdrawn, 2 if no record of the chain counts any more.
    `text` is the row of the words: each revision brings a new one, and the words of old
    revisions stay behind in the index, where no dataset points at them.
    """
    db.executescript(_CURRENT_VIEW)


_CURRENT_VIEW = """
create table datasets (
    seq integer primary key,
    id text not null unique,
    publisher integer not null references publishers(seq),
    record integer not null references records(seq),
    current integer not null references records(seq),
    revision integer not null,
    visibility text not null,
    status integer not null,
    forked integer not null,
    issued integer not null,
    text integer not null,
    name text not null,
    license text not null,
    dimension integer,
    localizations integer,
    precision_nm real,
    fov_um real,
    size integer not null,
    card text not null
);
create index datasets_publisher on datasets (publisher);
create table terms (
    seq integer primary key,
    category text not null,
    term text not null,
    label text not null,
    unique (category, term)
);
create table dataset_terms (
    dataset integer not null,
    term integer not null,
    primary key (dataset, term)
) without rowid;
create table dataset_blobs (
    dataset integer not null,
    blob blob not null,
    kind text not null,
    current integer not null,
    primary key (dataset, blob)
) without rowid;
create index dataset_blobs_blob on dataset_blobs (blob);
create virtual table dataset_text using fts5 (
    name, tags, authors, description, documentation, files,
    content='', tokenize='unicode61 remove_diacritics 2'
);
"""


@MIGRATIONS(name="0003_peers")
def peers(db: sqlite_utils.Database) -> None:
    """Whom this node talks to, who holds what, and what is kept for others."""
    db.executescript(_PEERS)


_PEERS = """
create table peers (
    seq integer primary key,
    url text unique,
    publisher text,
    source text not null,
    state text not null,
    added integer not null,
    last_success integer,
    last_error text not null default '',
    last_error_at integer
);
create index peers_publisher on peers (publisher);
create table reachability (
    publisher text not null,
    via text not null,
    reachable integer not null,
    since integer not null,
    primary key (publisher, via)
) without rowid;
create table holdings (
    publisher text not null,
    blob blob not null,
    primary key (blob, publisher)
) without rowid;
create index holdings_publisher on holdings (publisher);
create table mirrors (
    seq integer primary key,
    query text not null,
    max_size integer,
    from_publisher text,
    added integer not null,
    last_run integer,
    datasets_matched integer not null default 0,
    datasets_held integer not null default 0,
    bytes_held integer not null default 0,
    last_error text not null default ''
);
"""


@MIGRATIONS(name="0004_drafts")
def drafts(db: sqlite_utils.Database) -> None:
    """Datasets that are being prepared here.

    `envelope` is the sealed record from the moment on when publishing it was decided: whatever
    interrupts it, the same record is published later and never a second one.
    """
    db.executescript(_DRAFTS)


_DRAFTS = """
create table drafts (
    id text primary key,
    dataset text unique,
    metadata text not null,
    samples text not null,
    created integer not null,
    updated integer not null,
    envelope blob
);
"""


@MIGRATIONS(name="0005_sign_ins")
def sign_ins(db: sqlite_utils.Database) -> None:
    """One-time links and sessions, by the SHA-256 of their secrets: a copy opens nothing."""
    db.executescript(_SIGN_INS)


_SIGN_INS = """
create table sign_ins (
    digest text primary key,
    kind text not null,
    expires integer not null
) without rowid;
"""


@MIGRATIONS(name="0006_lean_catalog")
def lean_catalog(db: sqlite_utils.Database) -> None:
    """What admission writes for each dataset, in fewer pages.

    `blob_names` holds the first 16 digits of the blobs that the record in the same row refers to,
    in the place of an index of `dataset_blobs`. Cards are needed for one page of results only, so
    what is read of every dataset no longer lies between them.
    """
    db.executescript(_LEAN_CATALOG)


_LEAN_CATALOG = """
create virtual table blob_names using fts5 (
    blobs, content='', columnsize=0, detail=none, tokenize='ascii'
);
insert into blob_names (rowid, blobs)
    select record, group_concat(substr(lower(hex(blob)), 1, 16), ' ') from dataset_blobs
    join datasets on datasets.seq = dataset group by datasets.seq;
drop index dataset_blobs_blob;
create table cards (
    dataset integer primary key,
    card text not null
);
insert into cards select seq, card from datasets;
alter table datasets drop column card;
"""
