from __future__ import annotations

import io

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle
from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError


def read(text: str | bytes, **options: object) -> Bundle:
    data = text.encode() if isinstance(text, str) else text
    return smlmfmt.read(io.BytesIO(data), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "frame,x,y\n1,2.5,3\n4,5,6\n",
        "frame;x;y\n1;2.5;3\n4;5;6\n",
        "frame;x;y\n1;2,5;3\n4;5;6\n",
        "frame\tx\ty\r\n1\t2.5\t3\r\n4\t5\t6",
        "frame x y\n1 2.5 3\n 4   5 6 \n",
        "# frame, x, y\n1, 2.5, 3\n4, 5, 6\n",
        "# made by us\n# today\nFrame,X (nm),Y (nm)\n1,2.5,3\n#note\n4,5,6\n",
        '"frame";"xnm";"ynm"\n1;2.5;3\n4;5;6\n',
        "image_number,position_x,position_y\n1,2.5,3\n4,5,6\n\0trailing µ",
    ],
)
def test_a_header_that_names_x_and_y(text: str) -> None:
    bundle = read(text)
    table = bundle.tables[0]
    assert bundle.format == "csv"
    assert table.columns == ("frame", "x", "y")
    assert [table[c].tolist() for c in table.columns] == [[1, 4], [2.5, 5], [3, 6]]
    assert table.units["x"] == "nm"
    assert table["x"].dtype == np.float64


def test_lengths_without_a_unit_are_said_to_be_nm() -> None:
    assert "no unit; taken as nm" in read("x,y\n1,2\n").warnings[0]
    assert read("x [nm],y [nm]\n1,2\n", format="csv").warnings == ()


def test_lengths_without_a_unit_in_pixels() -> None:
    table = read("x,y,z,sigma,n\n1,2,3,4,5\n", pixel_size_nm=100).tables[0]
    assert [table[c][0] for c in table.columns] == [100, 200, 3, 400, 5]


def test_pixels_in_the_header() -> None:
    with pytest.raises(UnitError):
        read("x (px),y (px)\n1,2\n")


def test_mapping_by_header() -> None:
    bundle = read("t,a,b\n1,2,3\n", columns={"x": "a", "y": "b", "frame": "t"})
    table = bundle.tables[0]
    assert table.columns == ("frame", "x", "y")
    assert table.source_names == {"frame": "t", "x": "a", "y": "b"}


def test_mapping_by_number() -> None:
    table = read("1 2 3 4\n5 6 7 8\n", columns={"x": 0, "y": 1}).tables[0]
    assert (table["x"].tolist(), table["y"].tolist()) == ([1, 5], [2, 6])
    assert table.columns == ("x", "y", "2", "3")
    under_words = read("a,b\n1,2\n", columns={"x": 1, "y": 0}).tables[0]
    assert under_words["x"].tolist() == [2]


def test_mapping_wins_over_the_header() -> None:
    table = read("x,y,xc\n1,2,3\n", columns={"x": "xc"}).tables[0]
    assert table["x"].tolist() == [3]
    assert set(table.columns) == {"x", "y", "x_0"}


@pytest.mark.parametrize(
    "columns",
    [{"x": "gone", "y": "b"}, {"x": 7, "y": 0}, {"x": 0, "y": 0}, {"x": "a"}, {"x": -1, "y": 0}],
)
def test_mappings_that_do_not_fit(columns: dict[str, object]) -> None:
    with pytest.raises(HeaderError):
        read("a,b\n1,2\n", columns=columns)


def test_text_that_is_no_table() -> None:
    for text in ("hello\nworld\n", "1,2,3\n4,5,6\n", "", "a,b\n1,2\n", "# x\n"):
        assert smlmfmt.sniff(io.BytesIO(text.encode())) is None
        with pytest.raises(FormatError):
            read(text)
        with pytest.raises(HeaderError):
            read(text, format="csv")


def test_bad_row_is_named_with_its_line() -> None:
    with pytest.raises(RowError, match=r"line 4: .*'1,2,3'"):
        read("# a\nx,y\n1,2\n1,2,3\n")


def test_missing_values_are_nan() -> None:
    np.testing.assert_equal(read("x,y\n1,\n,2\n").tables[0]["x"], [1, np.nan])


def test_trailing_delimiter() -> None:
    table = read("x,y,\n1,2,\n").tables[0]
    assert table.columns == ("x", "y")


def test_what_follows_a_nul_is_kept() -> None:
    data = b"x\ty\r\n1\t2\r\n\0\r\r\nVoxelSizeX : 0.097 \xb5m\r\n"
    assert read(data).tables[0].metadata == {"trailer": "VoxelSizeX : 0.097 µm"}
    assert "trailer" not in read("x,y\n1,2\n").tables[0].metadata


def test_a_line_without_end() -> None:
    with pytest.raises(FormatError):
        read("x,y\n" + "1," * 2_000_000, format="csv")
    with pytest.raises(FormatError):
        read("x,y" * 100_000, format="csv")
