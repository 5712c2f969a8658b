import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smlmfmt import LocTable
from smlmfmt.measures.signature import SIZE_MAX, VERSION, Signature, structure_signature
from smlmfmt.simulate import STRUCTURES, simulate
from tests.smlmfmt.fields import changed, filaments, in_order, looked_at, taken


def measured(table: LocTable) -> Signature | None:
    return structure_signature(*looked_at(table))


def known(table: LocTable) -> Signature:
    found = measured(table)
    assert found is not None
    return found


def apart(one: Signature, other: Signature) -> float:
    distance = one.distance(other)
    assert distance is not None
    return distance


@functools.cache
def cell(structure: str, seed: int, localizations: int) -> LocTable:
    return simulate(structure, seed=seed, localizations=localizations)


def thinned(table: LocTable, times: int) -> LocTable:
    count = len(table) // times
    rows = np.random.default_rng(times).choice(len(table), count, replace=False)
    return taken(table, np.sort(rows))


@functools.cache
def library() -> dict[tuple[str, int, int, int], Signature]:
    """Signatures by structure, cell, localizations, and how many times thinned."""
    found = {}
    for structure in STRUCTURES:
        for seed in (3, 4):
            for count in (20_000, 100_000):
                table = cell(structure, seed, count)
                for times in (1, 2, 5, 10) if count == 100_000 else (1, 5):
                    signature = measured(thinned(table, times) if times > 1 else table)
                    if signature is not None:
                        found[structure, seed, count, times] = signature
    return found


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(("times", "moved"), [(2, 0.15), (5, 0.2), (10, 0.3)])
def test_leaving_localizations_out_barely_moves_it(
    structure: str, times: int, moved: float
) -> None:
    for seed in (3, 4):
        whole = library()[structure, seed, 100_000, 1]
        assert apart(whole, library()[structure, seed, 100_000, times]) < moved
        others = [known for key, known in library().items() if key[0] != structure]
        # Every other structure, at whatever density, lies far beyond that.
        assert min(apart(whole, other) for other in others) > 2 * moved


def test_the_nearest_other_cell_shows_the_same_structure() -> None:
    assert len(library()) >= 44
    for (structure, seed, _, _), signature in library().items():
        cells = [key for key in library() if key[:2] != (structure, seed)]
        nearest = min(cells, key=lambda key: apart(signature, library()[key]))
        assert nearest[0] == structure


def test_dimensions_are_what_they_are_named_for() -> None:
    random = np.random.default_rng(1)
    plane = in_order(random.random((40_000, 2)) * 10_000, random.integers(0, 900, 40_000))
    assert known(plane).values == pytest.approx([2.0] * 19, abs=0.15)
    line = np.outer(random.random(20_000) * 10_000, [np.cos(0.6), np.sin(0.6)])
    values = known(in_order(line, random.integers(0, 900, len(line)))).values
    assert values[3:] == pytest.approx([1.0] * 16, abs=0.25)


def test_the_order_of_rows_and_the_place_do_not_matter() -> None:
    table = filaments(count=20_000)
    mixed = taken(table, np.random.default_rng(2).permutation(len(table)))
    assert known(mixed) == known(table)
    moved = changed(table, x=table["x"] + 123_456.7, y=table["y"] - 98_765.4)
    assert apart(known(moved), known(table)) < 0.1
    turned = changed(table, x=table["y"], y=-table["x"])
    assert apart(known(turned), known(table)) < 0.1


def test_frames_are_not_needed() -> None:
    table = cell("clathrin", 3, 100_000)
    assert apart(known(changed(table, frame=None)), known(table)) < 0.5


def test_what_cannot_tell_has_none() -> None:
    random = np.random.default_rng(1)
    assert measured(in_order(random.random((300, 2)) * 1e4, np.arange(300))) is None
    # Too sparse for any pair at the least distance.
    assert measured(in_order(random.random((2_000, 2)) * 1e6, np.arange(2_000))) is None
    # A field smaller than the scales that are compared.
    assert measured(in_order(random.random((9_000, 2)) * 2e3, np.arange(9_000))) is None


def test_a_bead_makes_no_pairs_out_of_nothing() -> None:
    """10^5 rows at one place beside a sparse field: rounding must not fill the field with pairs."""
    random = np.random.default_rng(1)
    field = random.random((3_000, 2)) * 10_000
    places = np.concatenate([field, np.full((100_000, 2), 5_000.0)])
    signature = known(in_order(places, random.integers(0, 900, len(places))))
    assert max(signature.values) < 0.2


@given(st.binary(min_size=1, max_size=SIZE_MAX))
def test_the_text_holds_all_of_it(data: bytes) -> None:
    signature = Signature.from_text(f"{VERSION}:{data.hex()}")
    assert str(signature) == f"{VERSION}:{data.hex()}"
    assert Signature.from_text(str(signature)) == signature
    assert signature.distance(signature) == 0
    bytes_apart = math.dist(data, bytes(len(data)))
    zero = Signature(VERSION, (0.0,) * len(data))
    assert apart(signature, zero) == pytest.approx(bytes_apart / 64)


@pytest.mark.parametrize("text", ["", "1", "1:", "x:00", "1:0", "1:zz", "-1:00", "1:" + "00" * 65])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Signature.from_text(text)


def test_versions_and_lengths_do_not_compare() -> None:
    one = Signature(1, (1.0, 2.0))
    assert one.distance(Signature(2, (1.0, 2.0))) is None
    assert one.distance(Signature(1, (1.0,))) is None
