from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle
from smlmfmt.errors import HeaderError, UnitError
from tests.smlmfmt.text_samples import DECODE_CSV


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), **options)


def test_axes_are_exchanged_and_pixels_need_not_be_square() -> None:
    table = read(DECODE_CSV).tables[0]
    # DECODE's x = 2 px of 100 nm is our y, its y = 3 px of 110 nm our x.
    assert [table[name][0] for name in ("x", "y", "z")] == [330, 200, -50]
    precisions = [table[name][0] for name in ("x_precision", "y_precision", "z_precision")]
    assert precisions == pytest.approx([22, 10, 15])
    assert table.source_names["x"] == "y"
    assert table.frame_origin == 0


def test_bounds_are_variances() -> None:
    table = read(DECODE_CSV).tables[0]
    assert table["x_cr"][0] == pytest.approx(0.02 * 110**2)
    assert table.units["x_cr"] == table.units["z_cr"] == "nm^2"
    assert np.isnan(table["z_cr"][0])  # What DECODE did not compute is empty.


def test_what_the_caller_says_of_pixels_wins() -> None:
    assert read(DECODE_CSV, pixel_size_nm=10).tables[0]["x"][0] == 30


def test_nanometres() -> None:
    data = DECODE_CSV.replace(b'"px"', b'"nm"')
    table = read(data).tables[0]
    assert [table[name][0] for name in ("x", "y", "z", "x_precision")] == [3, 2, -50, 0.2]


def test_pixel_size_absent() -> None:
    data = DECODE_CSV.replace(b"[100.0, 110.0]", b"null")
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(data)
    assert read(data, pixel_size_nm=10).tables[0]["x"][0] == 30


@pytest.mark.parametrize(
    "size", ["[100]", "[0, 1]", "[-1, 1]", '"a"', "[true, 1]", "[1e999, 1]", "[NaN, 1]",
             "[1, 2, 3]", "{}", "[1" + "0" * 400 + ", 1]"],
)  # fmt: skip
def test_pixel_sizes_that_are_none(size: str) -> None:
    with pytest.raises(UnitError, match="px_size"):
        read(DECODE_CSV.replace(b"[100.0, 110.0]", size.encode()))


def test_unit_unknown() -> None:
    with pytest.raises(UnitError, match="xy_unit must be"):
        read(DECODE_CSV.replace(b'"px"', b'"um"'))
    data = DECODE_CSV.replace(b'"xy_unit": "px"', b'"xy_unit": null')
    with pytest.raises(UnitError, match="nothing says"):
        read(data)
    assert read(data, pixel_size_nm=10).tables[0]["x"][0] == 30


def test_metadata_is_kept() -> None:
    assert read(DECODE_CSV).tables[0].metadata == {
        "decode": {"version": "v0.10.0"},
        "emitters": {"xy_unit": "px", "px_size": [100.0, 110.0]},
    }


def test_older_files_say_the_unit_in_a_column() -> None:
    data = b"x,y,z,phot,frame_ix,id,prob,bg,xy_unit\n2,3,4,900,0,0,1,20,nm\n"
    bundle = read(data)
    assert bundle.format == "decode-csv"
    assert bundle.tables[0]["x"][0] == 3
    assert bundle.tables[0].metadata["labels"] == {"xy_unit": ["nm"]}


@pytest.mark.parametrize("line", ["{", "{" * 5000, '{"a": ' * 5000, "{'a': 1}"])
def test_json_that_is_none(line: str) -> None:
    with pytest.raises(HeaderError, match="JSON"):
        read(DECODE_CSV.replace(b'{"version": "v0.10.0"}', line.encode()))


def test_comments_without_a_header() -> None:
    with pytest.raises(HeaderError):
        read(b"# DECODE EmitterSet\n# {}\n# {}\n")
