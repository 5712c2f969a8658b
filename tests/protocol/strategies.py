"""Hypothesis strategies for records, keys and envelopes."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from protocol import limits
from protocol.envelope import Envelope, seal
from protocol.identity import DigestHex, SigningKey
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
    Record,
    Resolution,
    Sample,
    SavedView,
    TableSummary,
    Tag,
    Withdrawal,
)

KEYS = tuple(SigningKey.from_seed(bytes([index]) * 32) for index in range(1, 13))

digests = st.binary(min_size=32, max_size=32).map(lambda raw: DigestHex(raw.hex()))
seconds = st.integers(0, 2**40)
revisions = st.integers(2, limits.REVISION_MAX)
_letters = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"))
lines = st.text(_letters, max_size=30)
names = st.text(_letters, min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
prose = st.text(st.one_of(_letters, st.sampled_from("\n\t")), max_size=60)
long_prose = prose.filter(lambda text: bool(text.strip()))
slugs = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
numbers_or_none = st.none() | numbers
sizes = st.floats(0, allow_nan=False, allow_infinity=False)
counts = st.integers(0, limits.INTEGER_MAX)
urls = slugs.map(lambda text: f"https://{text}.example/{text}")
node_urls = slugs.map(lambda text: f"http://{text}.example:8750")
emails = slugs.map(lambda text: f"{text}@example.org")
dois = st.just("") | slugs.map(lambda text: f"10.5281/zenodo.{text}")
file_names = (
    st.text(_letters.filter(lambda c: c not in "/\\"), min_size=1, max_size=30)
    .map(str.strip)
    .filter(lambda text: bool(text) and text not in {".", ".."} and len(text.encode()) <= 255)
)

authors = st.builds(Author, name=names, affiliation=lines, orcid=st.just("0000-0002-1825-009X"))
tags = st.builds(
    Tag, category=slugs, term=slugs, label=lines, curie=st.sampled_from(["", "CLO:0009454"])
)
citations = st.builds(Citation, text=long_prose, doi=dois, url=st.just("") | urls)
columns = st.builds(
    ColumnSummary,
    name=names,
    unit=lines,
    source=lines,
    min=numbers_or_none,
    max=numbers_or_none,
    mean=numbers_or_none,
    median=numbers_or_none,
)
frames = st.builds(
    Frames,
    first=st.integers(0, 10),
    last=st.integers(10, 10**9),
    origin=st.sampled_from([None, 0, 1]),
)
precisions = st.builds(Precision, precision_nm=sizes, pairs=counts)
resolutions = st.builds(
    Resolution,
    resolution_nm=sizes,
    pixel_nm=sizes,
    field_nm=sizes,
    rows=counts,
    split=st.sampled_from(["frames", "rows"]),
    seed=counts,
)
drifts = st.builds(Drift, drift_nm=sizes, uncertainty_nm=sizes)
signatures = st.binary(min_size=1, max_size=64).map(lambda data: f"1:{data.hex()}")
pyramids = st.builds(
    BlobRef,
    sha256=digests,
    size=st.integers(1, limits.BLOB_SIZE_MAX),
    merkle_root=digests,
    media_type=st.just("application/vnd.locmesh.pyramid"),
)
tables = st.builds(
    TableSummary,
    name=lines,
    channel=lines,
    rows=st.integers(0, limits.INTEGER_MAX),
    columns=st.lists(columns, max_size=2).map(tuple),
    bounds=st.dictionaries(st.sampled_from("xyz"), st.tuples(numbers, numbers)),
    frames=st.none() | frames,
    dimension=st.sampled_from([2, 3]),
    density_per_um2=numbers_or_none,
    uncertainty_nm=numbers_or_none,
    localizations_per_frame=numbers_or_none,
    precision=st.none() | precisions,
    resolution=st.none() | resolutions,
    drift=st.none() | drifts,
    signature=st.none() | signatures,
    pyramid=st.none() | pyramids,
    non_finite=st.integers(0, 100),
)
files = st.builds(
    File,
    name=file_names,
    role=st.sampled_from(["original", "rendition", "table", "image", "raw", "other"]),
    media_type=st.sampled_from(["text/csv", "application/octet-stream"]),
    size=st.integers(0, limits.BLOB_SIZE_MAX),
    sha256=digests,
    merkle_root=digests,
    format=st.sampled_from(["", "smlm", "decode-csv"]),
    tables=st.lists(tables, max_size=1).map(tuple),
)
thumbnails = st.builds(
    BlobRef,
    sha256=digests,
    size=st.integers(1, limits.THUMBNAIL_SIZE_MAX),
    merkle_root=digests,
    media_type=st.just("image/png"),
)
samples = st.builds(
    Sample,
    name=names,
    description=prose,
    files=st.lists(files, min_size=1, max_size=2, unique_by=lambda file: file.name).map(tuple),
    thumbnail=st.none() | thumbnails,
)

views = st.builds(
    SavedView,
    name=names,
    sample=names,
    state=st.sampled_from(["v=1", "v=1&at=1,2&nm=0.5", "v=1&f.z=-100..100&map=fire"]),
    thumbnail=st.none() | thumbnails,
)


@st.composite
def datasets(draw: st.DrawFn, revision: st.SearchStrategy[int] | None = None) -> Dataset:
    number = draw(revision if revision is not None else st.just(1) | revisions)
    return Dataset(
        publisher=draw(digests),
        dataset=None if number == 1 else draw(digests),
        revision=number,
        previous=None if number == 1 else draw(digests),
        issued=draw(seconds),
        visibility=draw(st.sampled_from(["public", "members", "private"])),
        name=draw(names),
        description=draw(long_prose),
        authors=draw(st.lists(authors, min_size=1, max_size=2).map(tuple)),
        uploaded_by=draw(lines),
        contact=draw(emails),
        license=draw(st.sampled_from(["CC-BY-4.0", "CC0-1.0", "LicenseRef-lab"])),
        tags=draw(
            st.lists(
                tags, min_size=1, max_size=3, unique_by=lambda tag: (tag.category, tag.term)
            ).map(tuple)
        ),
        documentation=draw(prose),
        citation=draw(st.lists(citations, max_size=1).map(tuple)),
        doi=draw(dois),
        funding=draw(lines),
        links=draw(st.lists(urls, max_size=2).map(tuple)),
        samples=draw(
            st.lists(samples, min_size=1, max_size=2, unique_by=lambda sample: sample.name).map(
                tuple
            )
        ),
        views=draw(st.lists(views, max_size=2, unique_by=lambda view: view.name).map(tuple)),
    )


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    number = draw(st.just(1) | st.integers(2, limits.IDENTITY_REVISION_MAX))
    chosen = draw(st.permutations(KEYS))[: draw(st.integers(2, 5))]
    keys = tuple(
        Key(key=key.did, role="recovery" if index == 0 else "online")
        for index, key in enumerate(chosen)
    )
    first = number == 1
    return Identity(
        publisher=None if first else draw(digests),
        revision=number,
        previous=None if first else draw(digests),
        issued=draw(seconds),
        keys=keys,
        signed_by=None if first else KEYS[0].did,
    )


@st.composite
def nodes(draw: st.DrawFn) -> NodeInfo:
    number = draw(st.just(1) | revisions)
    return NodeInfo(
        publisher=draw(digests),
        revision=number,
        previous=None if number == 1 else draw(digests),
        issued=draw(seconds),
        name=draw(names),
        institution=draw(lines),
        contact=draw(st.just("") | emails),
        urls=draw(st.lists(node_urls, max_size=3).map(tuple)),
        software=draw(lines),
    )


withdrawals = st.builds(
    Withdrawal,
    publisher=digests,
    dataset=digests,
    revision=revisions,
    previous=digests,
    issued=seconds,
    reason=long_prose,
    successor=st.none() | digests,
)
heads = st.tuples(seconds, st.integers(1, limits.HEAD_LIFETIME_MAX_S)).flatmap(
    lambda pair: st.builds(
        Head,
        publisher=digests,
        issued=st.just(pair[0]),
        scope=st.sampled_from(["public", "members"]),
        sequence=st.integers(1, limits.INTEGER_MAX),
        count=st.integers(0, limits.INTEGER_MAX),
        root=digests,
        expires=st.just(pair[0] + pair[1]),
    )
)
records: st.SearchStrategy[Record] = st.one_of(
    datasets(), identities(), nodes(), withdrawals, heads
)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    keys = draw(st.permutations(KEYS))[: draw(st.integers(1, 3))]
    payload_type = draw(st.sampled_from(["application/vnd.locmesh.record.v1+json", "text/plain"]))
    return seal(draw(st.binary(max_size=50)), keys, payload_type=payload_type)
