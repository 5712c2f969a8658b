from __future__ import annotations

import io
from typing import Any

import pytest

import smlmfmt
from smlmfmt import Bundle, FormatError
from smlmfmt.errors import HeaderError
from tests.smlmfmt import text_samples as samples


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), **options)


POSITIONS = {
    None: [13, 14, 16],
    "warped-drift-corrected": [13, 14, 16],
    "drift-corrected": [3, 4, 6],
    "warped": [11, 12, 15],
    "raw": [1, 2, 5],
}


@pytest.mark.parametrize(("variant", "wanted"), POSITIONS.items())
@pytest.mark.parametrize("data", [samples.NSTORM, samples.NSTORM_V5])
def test_positions_are_chosen_by_name(data: bytes, variant: str | None, wanted: list[int]) -> None:
    table = read(data, variant=variant).tables[0]
    assert [table[axis][0] for axis in "xyz"] == wanted
    assert table.units["x"] == table.units["z"] == "nm"
    # Whatever is chosen, the others are there under their own names.
    for other, suffix in (("raw", ""), ("drift-corrected", "c"), ("warped", "w")):
        if other != variant:
            assert table["x_" + other.replace("-", "_")][0] == POSITIONS[other][0]
            assert table.source_names["x_" + other.replace("-", "_")] == f"X{suffix}"


def test_variants_are_listed() -> None:
    info = next(info for info in smlmfmt.formats() if info.name == "nstorm")
    assert info.variants == tuple(POSITIONS)[1:]


def test_old_files_have_no_warped_positions() -> None:
    bundle = read(samples.NSTORM_OLD)
    table = bundle.tables[0]
    assert [table[axis][0] for axis in "xyz"] == [3, 4, 6]
    assert any("drift-corrected ones" in note for note in bundle.warnings)
    with pytest.raises(HeaderError, match="there are drift-corrected, raw"):
        read(samples.NSTORM_OLD, variant="warped")
    with pytest.raises(FormatError, match="no variant 'best'"):
        read(samples.NSTORM_OLD, variant="best")


def test_names_of_channels_are_numbered() -> None:
    bundle = read(samples.NSTORM)
    table = bundle.tables[0]
    assert table["channel"].tolist() == [0, 1]
    assert table.metadata["labels"] == {"channel": ["647", "Z Rejected"]}
    assert any("'Channel Name' holds text" in note for note in bundle.warnings)


def test_channels_named_by_number_are_numbers() -> None:
    table = read(samples.NSTORM_OLD).tables[0]
    assert table["channel"].tolist() == [750]
    assert "labels" not in table.metadata


def test_units_and_names() -> None:
    table = read(samples.NSTORM).tables[0]
    assert table.frame_origin == 1
    assert (table["intensity"][0], table.units["intensity"]) == (1000, "photon")
    assert (table["area"][0], table.units["area"]) == (5000, "digital")
    assert (table["uncertainty_xy"][0], table.units["uncertainty_xy"]) == (9.5, "nm")
    assert table["detections"][0] == 2
    old = read(samples.NSTORM_OLD).tables[0]
    assert (old["intensity"][0], old.units["intensity"]) == (5000, "digital")


def test_version_5_columns_are_found_by_name() -> None:
    table = read(samples.NSTORM_V5).tables[0]
    assert [table[name][0] for name in ("id", "channel", "frame", "intensity")] == [1, 2, 3, 5000]


def test_a_line_of_words_below_the_header_is_passed_over_with_a_warning() -> None:
    header, _, rows = samples.NSTORM_V5.partition(b"\r\n")
    bundle = read(header + b"\r\nsome\twords\r\n" + rows)
    assert len(bundle.tables[0]) == 1
    assert any("line 2 is no row" in note for note in bundle.warnings)


def test_nis_table() -> None:
    bundle = read(samples.NIS)
    table = bundle.tables[0]
    assert [table[name][0] for name in ("x", "channel", "frame", "detections")] == [1.25, 1, 17, 2]
    assert bundle.warnings == ()


def test_nis_table_by_picasso_is_put_right() -> None:
    bundle = read(samples.NIS_BY_PICASSO)
    table = bundle.tables[0]
    names = ("x", "sigma_x", "background", "intensity", "frame", "channel", "detections")
    assert [table[name][0] for name in names] == [1.25, 130, 12.5, 900, 17, 1, 1]
    assert table.units["sigma_x"] == "nm"
    assert table.source_names["frame"] == "Length"
    assert any("written by Picasso" in note for note in bundle.warnings)


@pytest.mark.parametrize(
    "row",
    ["1\t2\t1.5\t320\t100\t1\t5000\t17", "1\t2\t1\t320\t100\t1\t5000\t1.5",
     "1\t2\t1\t320\t100\t0\t5000\t17", "1\t2\t1\t320\t100\t1\tNaN\tNaN"],
)  # fmt: skip
def test_nis_table_that_is_neither_is_refused(row: str) -> None:
    with pytest.raises(HeaderError, match="cannot be channels"):
        read((samples.NIS_HEADER + row).encode())


def test_nis_table_without_rows() -> None:
    assert len(read(samples.NIS_HEADER.encode()).tables[0]) == 0
