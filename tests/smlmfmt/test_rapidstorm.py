from __future__ import annotations

import io
from typing import Any

import pytest

import smlmfmt
from smlmfmt import Bundle, FormatError
from smlmfmt.errors import HeaderError, RowError, SizeLimitError, UnitError
from smlmfmt.rapidstorm import FIELD_COUNT_MAX
from tests.smlmfmt import text_samples as samples


def read(data: bytes | str, **options: Any) -> Bundle:
    data = data.encode() if isinstance(data, str) else data
    return smlmfmt.read(io.BytesIO(data), **options)


def header(*fields: str) -> str:
    return f"# <localizations>{''.join(fields)}</localizations>\n"


def field(identifier: str, unit: str = "nanometer", **more: str) -> str:
    rest = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<field identifier="{identifier}" unit="{unit}"{rest} />'


XY = (field("Position-0-0"), field("Position-1-0"))


def test_fields_are_columns_in_document_order() -> None:
    text = header(
        field("ImageNumber-0-0", "frame"), field("PSFWidth-1-0"), field("Position-1-0"),
        field("Position-0-0"), field("Position-2-0"), field("Position-0-0-uncertainty"),
        field("LocalBackground-0-0", "A/D count"), field("FitResidues-0-0", "dimensionless"),
    )  # fmt: skip
    table = read(f"{text}0 300 2 1 5 0.5 70 1.5e+006\n").tables[0]
    assert table.columns == (
        "frame", "fwhm_y", "y", "x", "z", "x_precision", "background", "chi2"
    )  # fmt: skip
    assert [table[name][0] for name in table.columns] == [0, 300, 2, 1, 5, 0.5, 70, 1.5e6]
    assert (table.units["background"], table.units["fwhm_y"]) == ("digital", "nm")
    assert table.frame_origin == 0


def test_limits_in_metres_do_not_touch_values() -> None:
    text = header(field("Position-0-0", min="0 m", max="3.2e-005 m"), XY[1])
    assert read(f"{text}9657.4 2\n").tables[0]["x"][0] == 9657.4


@pytest.mark.parametrize(("unit", "wanted"), [("meter", 2e9), ("micrometer", 2000), ("pixel", 200)])
def test_each_field_has_its_own_unit(unit: str, wanted: float) -> None:
    text = header(field("Position-0-0", unit), XY[1])
    table = read(f"{text}2 3\n", pixel_size_nm=100).tables[0]
    assert [table["x"][0], table["y"][0]] == [wanted, 3]


def test_pixels_need_their_size() -> None:
    with pytest.raises(UnitError, match="Position-0-0"):
        read(header(field("Position-0-0", "pixel"), XY[1]) + "1 2\n")


def test_old_fields_are_named_by_their_meaning() -> None:
    meanings = ("x-position", "y-position", "frame number", "emission strength")
    text = header(*(f'<field semantic="{name}" unit="" syntax="" />' for name in meanings))
    text = text.replace('unit=""', 'unit="nanometer"', 2)
    table = read(f"{text}1 2 3 4\n").tables[0]
    assert table.columns == ("x", "y", "frame", "intensity")


def test_tracks_become_one_row_per_localization() -> None:
    table = read(samples.RAPIDSTORM_TRACKS).tables[0]
    assert table["track_id"].tolist() == [0, 0, 1]
    assert table["x"].tolist() == [9, 11, 50]
    assert table["frame"].tolist() == [3, 4, 7]
    assert table["track_x"].tolist() == [10, 10, 50]
    assert table.units["track_x"] == "nm"
    assert table.frame_origin == 0


@pytest.mark.parametrize(
    "row",
    ["1 2 3 4 2 9 19 3 240", "1 2 3", "1 2 3 4", "1 2 3 4 0.5 6 7", "1 2 3 4 -1", "1 2 x 4 0",
     "1 2 3 4 NaN", "1 2 3 4 1 1 2 3 4 5"],
)  # fmt: skip
def test_a_track_whose_count_is_wrong(row: str) -> None:
    data = samples.RAPIDSTORM_TRACKS + row.encode() + b"\n1 2 3 4 0\n7 8 9 1 1 70 80 9 1\n"
    with pytest.raises(RowError, match="line 4"):
        read(data)
    bundle = read(data, on_error="skip")
    assert bundle.tables[0]["x"].tolist() == [9, 11, 50, 70]
    assert bundle.tables[0]["track_id"].tolist() == [0, 0, 1, 4]
    assert "1 bad rows skipped" in bundle.warnings[0]


def test_a_long_track() -> None:
    rows = " ".join(f"{index}.5 2 {index} 4" for index in range(10_000))
    data = samples.RAPIDSTORM_TRACKS + f"1 2 3 4 10000 {rows}\n".encode()
    assert len(read(data).tables[0]) == 10_003


def test_no_tracks() -> None:
    line = samples.RAPIDSTORM_TRACKS.partition(b"\n")[0] + b"\n"
    table = read(line).tables[0]
    assert len(table) == 0
    assert "track_id" in table


@pytest.mark.parametrize(
    "line",
    [
        "# <localizations><field identifier='x'>",
        "# <localizations></localizations>",
        "# <localizations><other/></localizations>",
        '# <!DOCTYPE a [<!ENTITY b "c">]><localizations>&b;</localizations>',
        "# <localizations>&b;</localizations>",
        f"# <localizations>{XY[0]}<localizations></localizations></localizations>",
        "# <localizations>" * 3 + XY[0] + "</localizations>" * 3,
        "# <localizations>" + "<field>" * 5 + "</field>" * 5 + "</localizations>",
    ],
)
def test_xml_that_is_not_rapidstorms(line: str) -> None:
    with pytest.raises(HeaderError):
        read(f"{line}\n1 2\n", format="rapidstorm")


def test_a_document_type_is_refused_before_anything_is_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "' + "c" * 1000 + '">]>'
    with pytest.raises(FormatError):
        read(f"# <localizations >{bomb}</localizations>\n", format="rapidstorm")


def test_too_many_fields() -> None:
    with pytest.raises(SizeLimitError):
        read(header(*["<field/>"] * (FIELD_COUNT_MAX + 1)))


def test_fields_of_tracks_must_not_fill_the_memory() -> None:
    line = "# <localizations>" + "<field/>" * 250
    line += f"<localizations>{XY[0]}{XY[1]}</localizations></localizations>\n"
    row = "1 " * 250 + "100000 " + "1 1 " * 100_000
    with pytest.raises(SizeLimitError, match="times as large"):
        read(line + row)
