"""What each program's table says, column by column."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle, LocTable
from smlmfmt.errors import HeaderError, RowError, UnitError
from tests.smlmfmt import text_samples as samples


def read(data: bytes | str, **options: Any) -> Bundle:
    data = data.encode() if isinstance(data, str) else data
    return smlmfmt.read(io.BytesIO(data), **options)


def table(data: bytes | str, **options: Any) -> LocTable:
    return read(data, **options).tables[0]


def first(found: LocTable, *names: str) -> list[float]:
    return [float(found[name][0]) for name in names]


@pytest.mark.parametrize("data", [samples.ZEISS_TXT, samples.ZEISS_CSV])
def test_zeiss(data: bytes) -> None:
    found = table(data)
    assert found.frame_origin == 1
    names = ("frame", "x", "y", "z", "uncertainty_xy", "intensity", "background_variance")
    assert first(found, *names) == [7, 15850.6, 23502.1, -12.5, 8.6, 472, 5.33]
    assert "background" not in found  # A variance is no background.
    assert (found.units["psf_half_width"], found.units["intensity"]) == ("nm", "photon")
    assert found.source_names["frame"] == "First Frame"


def test_zeiss_trailer_is_kept() -> None:
    assert table(samples.ZEISS_TXT).metadata == {"trailer": "VoxelSizeX : 0.0970873786 µm"}


def test_zeiss_with_decimal_commas() -> None:
    bundle = read(samples.ZEISS_CSV_V2)
    assert bundle.format == "zeiss-csv"
    assert first(bundle.tables[0], "id", "frame", "x", "y", "z") == [1, 7, 15850.6, 23502.1, -12.5]
    assert any("decimal points" in note for note in bundle.warnings)


def test_commas_are_decimal_though_the_first_row_has_none() -> None:
    text = "First Frame;x [nm];y [nm]\n1;2;3\n2;2,5;3,25\n"
    assert table(text)["y"].tolist() == [3, 3.25]


def test_thousands_with_commas_and_points_are_refused() -> None:
    with pytest.raises(RowError, match="line 2"):
        read("First Frame;x [nm];y [nm]\n1;1,234.5;3\n")


def test_nanoimager() -> None:
    found = table(samples.NANOIMAGER)
    assert found.frame_origin == 0
    names = ("channel", "frame", "x", "y", "z", "x_precision", "y_precision", "intensity")
    assert first(found, *names) == [0, 1548, 40918.949219, 56104.691406, 0, 9.5, 8.5, 139.828232]
    assert "z_precision" not in found
    assert found.summary().dimension == 2


def test_nanoimager_with_pixels_beside_nm() -> None:
    text = "Channel,Frame,X (nm),Y (nm),Photons,X (pix),PSF Sigma X (pix)\n0,1,117,234,900,1,1.5\n"
    bundle = read(text)
    found = bundle.tables[0]
    assert first(found, "x", "y", "x_px", "sigma_x_px") == [117, 234, 1, 1.5]
    assert (found.units["x"], found.units["x_px"], found.units["sigma_x_px"]) == ("nm", "px", "px")
    assert any("PSF Sigma X (pix) stay" in note for note in bundle.warnings)
    told = table(text, pixel_size_nm=100)
    assert first(told, "x", "x_px", "sigma_x") == [117, 1, 150]


def test_abbelight() -> None:
    found = table(samples.ABBELIGHT)
    assert found.frame_origin == 1
    names = ("sigma", "sigma_x", "sigma_y", "amplitude", "intensity_demixing", "ratio_demixing")
    assert first(found, *names) == [130, 128, 132, 50, 400, 0.4]


def test_smap_csv() -> None:
    found = table(samples.SMAP_CSV)
    assert found.frame_origin == 1
    names = ("uncertainty_xy", "uncertainty_z", "sigma_x", "sigma_y", "number_in_group", "llrel")
    assert first(found, *names) == [8, 20, 130, 140, 3, -1.1]
    assert {found.units[name] for name in names[:4]} == {"nm"}
    assert found.units["intensity"] == "photon"


def test_smap_csv_as_its_plugin_writes_it() -> None:
    found = table("ID,frame,xnm,ynm,znm,phot,bg,locprecnm \n1,2,3,4,5,6,7,8\n")
    assert found.format == "smap-csv"
    names = ("id", "frame", "x", "y", "z", "intensity", "background", "uncertainty_xy")
    assert first(found, *names) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_challenge() -> None:
    found = table(samples.CHALLENGE)
    assert found.frame_origin == 1
    assert first(found, *found.columns) == [1, 20, 25713.33, 26788.9, 192.31, 1655.48]
    assert found.columns == ("id", "frame", "x", "y", "z", "intensity")
    assert found.units["intensity"] == "photon"


def test_challenge_without_a_header() -> None:
    rows = samples.CHALLENGE.partition(b"\n")[2]
    assert smlmfmt.sniff(io.BytesIO(rows)) is None
    found = table(rows, format="challenge")
    assert found.columns == ("id", "frame", "x", "y", "z", "intensity")
    assert first(found, "frame", "intensity") == [20, 1655.48]
    with pytest.raises(HeaderError, match="6 columns"):
        read("1,2,3\n", format="challenge")


def test_malk() -> None:
    bundle = read(samples.MALK)
    found = bundle.tables[0]
    assert found.columns == ("x", "y", "frame", "intensity")
    assert found["frame"].tolist() == [0, 2, 2]
    assert found.frame_origin is None
    assert "without a header" in bundle.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "1 2 0 100\n3 4 1 200\n",  # No decimals: these may be counts of anything.
        "1.5 2.5 7.5 100\n",  # No frame.
        "1.5 2.5 3 100\n1.5 2.5 2 100\n",  # Frames that decrease.
        "1.5 2.5 -1 100\n",
        "1.5,2.5,3,100\n",
        "1.5 2.5 3 100 7\n1 2 3 4 5\n",
    ],
)
def test_other_numbers_are_not_malk(text: str) -> None:
    assert smlmfmt.sniff(io.BytesIO(text.encode())) is None


def test_quickpalm() -> None:
    bundle = read(samples.QUICKPALM)
    found = bundle.tables[0]
    assert found.frame_origin == 1
    assert first(found, "id", "frame", "x", "y", "z", "x_px") == [1, 1, 212, 318, 0, 2]
    assert found.units["left_width"] == "px"
    assert first(table(samples.QUICKPALM, pixel_size_nm=106), "left_width", "x_px") == [159, 2]


def test_trackmate() -> None:
    bundle = read(samples.TRACKMATE)
    found = bundle.tables[0]
    assert found.frame_origin == 0
    assert first(found, "frame", "x", "y", "z", "radius", "time") == [1, 1250, 2500, 500, 250, 0.1]
    assert found.units["time"] == "s"
    np.testing.assert_equal(found["track_id"], [0, np.nan])
    assert found.metadata["labels"] == {"label": ["ID7", "ID8"]}
    assert found["label"].tolist() == [0, 1]
    assert any("'LABEL' holds text" in note for note in bundle.warnings)
    assert np.isnan(found["manual_spot_color"]).all()


def test_trackmate_in_pixels() -> None:
    text = samples.TRACKMATE.replace(b"(micron)", b"(pixel)")
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(text)
    assert first(table(text, pixel_size_nm=100), "x", "radius") == [125, 25]


def test_trackmate_without_units_asks_for_them() -> None:
    with pytest.raises(UnitError, match="line of units"):
        read(samples.TRACKMATE_OLD)
    found = table(samples.TRACKMATE_OLD, pixel_size_nm=1000)
    assert first(found, "x", "radius") == [1250, 250]


def test_trackmate_headers_alone_are_an_empty_table() -> None:
    headers = b"\n".join(samples.TRACKMATE.split(b"\n")[:4]) + b"\n"
    assert len(table(headers)) == 0


def test_trackmate_in_a_unit_that_is_no_length() -> None:
    with pytest.raises(UnitError, match="POSITION_X"):
        read(samples.TRACKMATE.replace(b"(micron)", b"(furlong)"))


def test_more_labels_than_are_kept_are_left_out_with_a_warning(tmp_path: Path) -> None:
    row = "ID{0},{0},0,1,1,2,3,0,1,1,1,,5\n"
    head = b"\n".join(samples.TRACKMATE.split(b"\n")[:4]) + b"\n"
    path = tmp_path / "spots.csv"
    path.write_bytes(head + "".join(row.format(index) for index in range(20_000)).encode())
    bundle = smlmfmt.read(path)
    assert "label" not in bundle.tables[0]
    assert bundle.tables[0]["id"].tolist() == list(range(20_000))
    assert any("'LABEL' holds too many" in note for note in bundle.warnings)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_a_header_alone_is_an_empty_table(name: str) -> None:
    format_name, data = samples.SAMPLES[name]
    if format_name == "malk":
        pytest.skip("it has no header")
    lines = data.partition(b"\0")[0].split(b"\n")
    headers = {"decode-csv": 4, "trackmate": 4 if name == "trackmate" else 1}
    head = b"\n".join(lines[: headers.get(format_name, 1)]) + b"\n"
    assert smlmfmt.sniff(io.BytesIO(head)) == format_name
    found = table(head, pixel_size_nm=1)
    assert len(found) == 0
    assert {"x", "y"} <= set(found.columns)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_a_bad_row_is_named_or_skipped_in_every_format(name: str) -> None:
    format_name, data = samples.SAMPLES[name]
    rows, nul, trailer = data.partition(b"\0")
    line = rows.count(b"\n") + 1
    broken = rows + b"what is this\n" + nul + trailer
    with pytest.raises(RowError, match=f"line {line}: .*'what is this'"):
        read(broken, pixel_size_nm=1, format=format_name)
    bundle = read(broken, pixel_size_nm=1, format=format_name, on_error="skip")
    good = table(data, pixel_size_nm=1)
    assert len(bundle.tables[0]) == len(good)
    assert any("1 bad rows skipped" in note for note in bundle.warnings)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
@pytest.mark.parametrize("change", ["bom", "utf-16", "lf", "cr", "upper", "blank lines"])
def test_the_same_table_however_it_was_saved(name: str, change: str) -> None:
    format_name, data = samples.SAMPLES[name]
    if change in ("utf-16", "cr") and format_name in ("rapidstorm", "zeiss-txt", "trackmate"):
        pytest.skip("no program saves it so")
    text = data.decode("latin-1")
    changed = {
        "bom": b"\xef\xbb\xbf" + data.replace(b"\xb5", "µ".encode()),
        "utf-16": text.encode("utf-16"),
        "lf": data.replace(b"\r\n", b"\n"),
        "cr": data.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
        "upper": data if format_name == "rapidstorm" else data.replace(b"Frame", b"FRAME"),
        "blank lines": data.replace(b"\n", b"\n\n") if format_name != "rapidstorm" else data,
    }[change]
    if change == "blank lines" and format_name in ("decode-csv", "trackmate"):
        pytest.skip("blank lines between its headers are of no program")
    one, other = table(data, pixel_size_nm=7), read(changed, pixel_size_nm=7).tables[0]
    assert other.format == format_name
    assert one.columns == other.columns
    for column in one.columns:
        np.testing.assert_array_equal(one[column], other[column])


def test_a_format_named_by_mistake_says_what_is_there() -> None:
    with pytest.raises(HeaderError, match="'Ground-truth', 'frame', 'xnano'"):
        read(samples.CHALLENGE, format="nanoimager")


def test_a_mapping_wins_over_a_vendors_names() -> None:
    found = table(samples.NSTORM, format="nstorm", columns={"x": "X", "y": "Y"})
    assert first(found, "x", "y") == [1, 2]
