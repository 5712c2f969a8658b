"""What is read at once is what the careful reader finds, and it never takes what that refuses."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.dataset import BlobRef, Dataset, SavedView
from protocol.errors import RemoteProtocolError
from protocol.payload import encode_json
from protocol.records import parse_record
from protocol.tables import Drift, Precision, Resolution
from protocol.usual import read_usual
from tests.protocol.strategies import datasets, records
from tests.protocol.test_dataset import DATASET, FILE, TABLE

MEASURED = replace(
    TABLE,
    columns=tuple(replace(column, median=1.5) for column in TABLE.columns),
    localizations_per_frame=12.5,
    precision=Precision(precision_nm=8.1, pairs=4_000),
    resolution=Resolution(
        resolution_nm=31.0, pixel_nm=5.0, field_nm=20_480.0, rows=100_000, split="frames", seed=7
    ),
    drift=Drift(drift_nm=3.0, uncertainty_nm=1.0),
    signature="1:40ff",
    pyramid=BlobRef(
        sha256=FILE.sha256,
        size=980_000,
        merkle_root=FILE.merkle_root,
        media_type="application/vnd.locmesh.pyramid",
    ),
)
PAYLOAD = replace(
    DATASET,
    samples=(replace(DATASET.samples[0], files=(replace(FILE, tables=(MEASURED,)),)),),
    views=(SavedView(name="One pore", sample="cell 1", state="v=1&at=4100,2050&nm=2"),),
).to_bytes()
PLAIN: dict[str, Any] = json.loads(PAYLOAD)


def _careful(payload: bytes) -> Dataset | None:
    try:
        return Dataset.from_bytes(payload)
    except RemoteProtocolError:
        return None


def _agree(payload: bytes) -> bool:
    """Say whether the payload was read at once; whatever was, the careful reader reads so, too."""
    usual = read_usual(payload)
    assert usual in (None, _careful(payload))
    return usual is not None


def _places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a document."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[step], (*path, step))


def _put(path: tuple[str | int, ...], value: object) -> bytes:
    document: Any = json.loads(PAYLOAD)
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


@given(datasets())
def test_what_the_careful_reader_takes_is_read_as_it_reads_it(dataset: Dataset) -> None:
    _agree(dataset.to_bytes())
    assert parse_record(dataset.to_bytes()) == dataset


@given(records.filter(lambda record: not isinstance(record, Dataset)))
def test_other_records_are_left_alone(record: Any) -> None:
    assert read_usual(record.to_bytes()) is None


def test_a_usual_record_is_read_at_once() -> None:
    assert _agree(PAYLOAD)
    assert _agree(json.dumps(PLAIN, indent=1, ensure_ascii=False).encode())
    assert _agree(json.dumps(PLAIN).encode())  # With every letter beyond ASCII as an escape.
    assert _agree(json.dumps(dict(reversed(PLAIN.items()))).encode())
    bare = replace(TABLE, name="", frames=None, columns=())
    for name in ("cell 1, 640 nm [drift+].csv", "Zelle_ä.csv", "x" * 200, ".hidden"):
        sample = replace(DATASET.samples[0], files=(replace(FILE, name=name, tables=(bare,)),))
        assert _agree(replace(DATASET, samples=(sample,)).to_bytes())
    long = replace(DATASET, documentation="# Title: x\n\n* one\r\n" * 5_000)
    assert _agree(long.to_bytes())
    second = replace(DATASET, revision=2, dataset=DATASET.publisher, previous=DATASET.publisher)
    assert _agree(second.to_bytes())


_TEXTS = st.one_of(
    st.text(max_size=4),
    st.sampled_from([".", "..", " a", "a ", "a/b", "a\\b", "a\nb", "\n", "\u00a0", "a:b", '":"']),
    st.sampled_from(["x\na/b\n\ny", "a/b\nsmlm\ny", "smlm\ny\na/b\n", "x" * 203, "ä" * 128]),
    st.sampled_from(["", " ", "cd" * 32, "CD" * 32, "cd" * 31, "original", "text/csv", "smlm"]),
    st.sampled_from(["public", "STORM", "CLO:1", "a\x00b", "a\x7fb", "a\u202eb", "10.1000/x"]),
    st.sampled_from(["https://a.example", "https://a b", "a@b", "0000-0002-1825-009X", "\ud800"]),
    st.integers(0, 4).map(lambda more: "x" * (limits.NAME_LENGTH_MAX - 2 + more)),
)
_NUMBERS = st.sampled_from(
    [0, 1, 2, 3, 4, -1, 1.0, 2.5, -0.0, 1e300, 5e-324, 2**44, 2**44 + 1, True, False]
    + [sign * (2**53 + near) for sign in (1, -1) for near in (-1, 0, 1)]
    + [2**64, 10**30, float(2**53), 0.1 + 0.2, 1 / 3, 262_144, 262_145, 1_000_000, 1_000_001]
)
_SMALL: st.SearchStrategy[Any] = st.one_of(
    _TEXTS, _NUMBERS, st.sampled_from([None, ..., [], {}, [{}], ["x"], {"a": 1}])
)


@given(st.sampled_from(sorted(_places(PLAIN), key=str)), _SMALL)
def test_a_record_with_another_value_is_judged_alike(
    path: tuple[str | int, ...], value: object
) -> None:
    _agree(_put(path, value))


@given(st.sampled_from(sorted(_places(PLAIN), key=str)), _TEXTS, _SMALL)
def test_a_record_with_a_field_more_is_judged_alike(
    path: tuple[str | int, ...], name: str, value: object
) -> None:
    document: Any = json.loads(PAYLOAD)
    place = document
    for step in path[:-1]:
        place = place[step]
    if isinstance(place, dict) and value is not ...:
        place[name] = value
        _agree(json.dumps(document).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("repeated", ['"name":"again"', '"nam\\u0065":"again"', '"tags":[]'])
@pytest.mark.parametrize("written", ["", '"doi":"a\\u003ab"', '"funding":"\\u003a\\u003A::"'])
def test_a_key_that_comes_twice_is_never_overlooked(repeated: str, written: str) -> None:
    # The escapes give the record as many colons more as the repeated key has brought.
    fields = ",".join(part for part in (written, repeated) if part)
    for payload in (
        PAYLOAD[:-1] + f",{fields}}}".encode(),
        b"{" + fields.encode() + b"," + PAYLOAD[1:],
    ):
        assert _careful(payload) is None
        assert read_usual(payload) is None
        with pytest.raises(RemoteProtocolError):
            parse_record(payload)


@given(st.data())
def test_any_key_twice_in_any_object_is_refused(data: st.DataObject) -> None:
    paths = [path for path in sorted(_places(PLAIN), key=str) if isinstance(path[-1], str)]
    path = data.draw(st.sampled_from(paths))
    place: Any = PLAIN
    for step in path[:-1]:
        place = place[step]
    value = data.draw(st.just(place[path[-1]]) | _SMALL.filter(lambda item: item is not ...))
    marker = "there is no such text"
    written = json.dumps(json.loads(_put((*path[:-1], marker), value)), ensure_ascii=False)
    assert written.count(marker) == 1
    payload = written.replace(marker, str(path[-1])).encode("utf-8", "surrogatepass")
    assert read_usual(payload) is None
    assert _careful(payload) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"size":120', b'"size":NaN'),
        (b'"size":120', b'"size":120.0'),
        (b'"size":120', b'"size":1.2e2'),
        (b'"size":120', b'"size":0120'),
        (b'"size":120', b'"size":-0'),
        (b'"min":0.5', b'"min":1e400'),
        (b'"min":0.5', b'"min":-Infinity'),
        (b'"min":0.5', b'"min":9007199254740993'),
        (b'"min":0.5', b'"min":-9007199254740993'),
        (b'"min":0.5', b'"min":9007199254740993.0'),
        (b'"min":0.5', b'"min":' + b"9" * 400),
        (b'"min":0.5', b'"min":0.' + b"3" * 800),
        (b"Nuclear", b"\xff"),
        (b"Nuclear", b"\xed\xa0\x80"),
        (b"Nuclear", b"\\ud800"),
        (b"Nuclear", b"\\ud83d\\ude00"),
        (b"Nuclear", b"\x01"),
        (b'"name"', b'"na\xffme"'),
        (b'{"authors"', b'\xef\xbb\xbf{"authors"'),
        (b'"bounds":{', b'"bounds":{"y":[1,2],"y":[1,2],'),
        (b'"protocol":1', b'"protocol":2'),
        (b'"type":"dataset"', b'"type":"head"'),
        (b'"type":"dataset"', b'"type":"dataset","type":"dataset"'),
    ],
)
def test_what_some_parsers_forgive_is_judged_alike(old: bytes, new: bytes) -> None:
    assert PAYLOAD.count(old) >= 1
    _agree(PAYLOAD.replace(old, new, 1))


@given(st.integers(0, len(PAYLOAD) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_damaged_bytes_are_judged_alike(place: int, put: bytes, cut: int) -> None:
    _agree(PAYLOAD[:place] + put + PAYLOAD[place + cut :])


def test_deep_and_long_bytes_are_left_to_the_careful_reader() -> None:
    for payload in (
        b"[" * 100_000,
        PAYLOAD[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        PAYLOAD[:-1] + b',"x":' + b"9" * 1_000_000 + b"}",
        PAYLOAD + b" " * limits.PAYLOAD_SIZE_MAX,
    ):
        assert read_usual(payload) is None


@given(st.floats(-(2.0**53), 2.0**53, exclude_min=True, exclude_max=True))
def test_numbers_are_read_to_the_last_bit(number: float) -> None:
    column = replace(TABLE.columns[0], min=number)
    file = replace(FILE, tables=(replace(TABLE, columns=(column,)),))
    record = replace(DATASET, samples=(replace(DATASET.samples[0], files=(file,)),))
    payload = encode_json({"type": "dataset", "protocol": 1, **json.loads(record.to_bytes())})
    assert read_usual(payload) == record
