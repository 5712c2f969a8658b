import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.beacon import INSTANCE_SIZE_MAX, Beacon, instance_name
from protocol.errors import LocalProtocolError, MalformedError
from protocol.identity import DigestHex
from tests.protocol.strategies import digests

P = DigestHex("ab" * 32)
beacons = st.builds(
    Beacon, publisher=digests, tls=st.booleans(), path=st.sampled_from(["", "/locmesh", "/a/b"])
)


def wire(beacon: Beacon) -> dict[bytes, bytes | None]:
    return {key.encode(): value.encode() for key, value in beacon.to_txt().items()}


@given(beacons)
def test_round_trip_within_what_dns_likes(beacon: Beacon) -> None:
    assert Beacon.from_txt(wire(beacon)) == beacon
    assert sum(len(key) + len(value) + 2 for key, value in beacon.to_txt().items()) < 200
    assert all(len(key) <= 9 for key in beacon.to_txt())


@given(st.dictionaries(st.binary(max_size=8), st.none() | st.binary(max_size=70), max_size=6))
def test_any_txt_gives_a_beacon_or_our_error(txt: dict[bytes, bytes | None]) -> None:
    try:
        Beacon.from_txt(txt)
    except MalformedError:
        return


@pytest.mark.parametrize(
    "changes",
    [
        {b"txtvers": b"2"},
        {b"txtvers": None},
        {b"proto": b"9"},
        {b"id": b"short"},
        {b"tls": b"yes"},
        {b"path": b"/../admin"},
        {b"path": b"/a?b"},
        {b"path": b"\xff"},
    ],
)
def test_another_version_or_a_strange_value_is_malformed(
    changes: dict[bytes, bytes | None],
) -> None:
    with pytest.raises(MalformedError):
        Beacon.from_txt({**wire(Beacon(publisher=P)), **changes})


def test_keys_we_do_not_know_are_ignored() -> None:
    txt = wire(Beacon(publisher=P)) | {b"color": b"blue", b"flag": None}
    assert Beacon.from_txt(txt) == Beacon(publisher=P)


def test_a_path_that_nobody_would_read_is_never_written() -> None:
    with pytest.raises(LocalProtocolError):
        Beacon(publisher=P, path="no slash").to_txt()


@given(st.text(max_size=100))
def test_an_instance_name_is_one_dns_label(name: str) -> None:
    text = instance_name(name.encode(errors="replace").decode(), P)
    assert len(text.encode()) <= INSTANCE_SIZE_MAX
    assert text.endswith("(abababab)")
    assert "." not in text
