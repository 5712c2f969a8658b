"""PYME's tables: localizations, nested fits, and text whose header is a comment."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle
from smlmfmt.errors import HeaderError, RowError
from tests.smlmfmt.hdf5_files import build, pyme_fits

TEXT = "#A, x, y, t, error_x, sig\n1.0e+00, 10.5, -2e1, 3, 5, 110\n2, 11, 21, 4, 6, 111\n"


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), **options)


def test_nested_fits_get_pymes_short_names() -> None:
    data = pyme_fits()
    assert smlmfmt.sniff(io.BytesIO(data)) == "pyme"
    table = read(data).tables[0]
    assert table.columns == (
        "frame", "amplitude", "x", "y", "sigma", "fitresults_background", "fiterror_a",
        "x_precision", "y_precision", "fiterror_sigma", "fiterror_background", "resultcode",
        "slicesused_x_start", "slicesused_x_stop",
    )  # fmt: skip
    assert table.source_names["x"] == "fitResults_x0"
    assert table.units["x"] == table.units["y_precision"] == table.units["sigma"] == "nm"
    assert table["frame"].tolist() == list(range(50))
    assert table["frame"].dtype == np.int32
    assert table.metadata["table"] == "FitResults"
    assert table.frame_origin is None


def test_short_names_win_over_what_they_are_short_for() -> None:
    names = ("x", "y", "t", "tIndex", "fitResults_x0", "error_x", "fitError_x0")
    values = np.zeros(3, [(name, "f4") for name in names])
    values["t"], values["tIndex"] = 1, 2
    table = read(build(lambda file: file.create_dataset("Localizations", data=values))).tables[0]
    assert table.columns == ("x", "y", "frame", "tindex", "fitresults_x0", "x_precision",
                             "fiterror_x0")  # fmt: skip
    assert table["frame"].tolist() == [1, 1, 1]
    assert table.units["fitresults_x0"] == "nm"


def test_text_with_a_commented_header() -> None:
    assert smlmfmt.sniff(io.BytesIO(TEXT.encode())) == "pyme"
    table = read(TEXT.encode()).tables[0]
    assert table.columns == ("amplitude", "x", "y", "frame", "x_precision", "sigma")
    assert table["y"].tolist() == [-20, 21]
    assert table.units["sigma"] == "nm"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TEXT.replace("#A", "# A"), "pyme"), ("\ufeff" + TEXT, "pyme"), ("\n" + TEXT, "pyme"),
        (TEXT.replace("\n", "\r\n"), "pyme"), (TEXT.replace("#", ""), "csv"),
        ("# x, y, t\n1, 2, 3\n", "csv"), ("# error_x, y, t\n1, 2, 3\n", None),
        ("#x, y, fitResults_x0\n", "pyme"),
    ],
)  # fmt: skip
def test_what_is_pymes_text(text: str, name: str | None) -> None:
    assert smlmfmt.sniff(io.BytesIO(text.encode())) == name


def test_text_that_strays() -> None:
    with pytest.raises(RowError, match="line 2"):
        read((TEXT.replace("10.5", "ten")).encode())
    bundle = read((TEXT.replace("10.5", "ten")).encode(), on_error="skip")
    assert len(bundle.tables[0]) == 1
    assert "1 bad rows skipped" in bundle.warnings[0]
    for text in ("x, y, error_x\n1, 2, 3\n", "#x, x, y, error_x\n1, 2, 3, 4\n", "#\n", "# a\n1\n"):
        with pytest.raises(HeaderError, match="file: want a first line '# x, y"):
            read(text.encode(), format="pyme")
    assert len(read(b"#x, y, error_x\n").tables[0]) == 0


def test_no_table() -> None:
    for fill in (
        lambda file: file.create_dataset("Localizations", data=np.zeros((3, 3))),
        lambda file: file.create_dataset("FitResults", data=np.zeros(3, [("x", "f4")])),
        lambda file: file.create_group("Localizations"),
    ):
        with pytest.raises(HeaderError, match="Localizations or FitResults"):
            read(build(fill), format="pyme")


CELLS = st.sampled_from(["1", "-2.5e3", "x", "", "#", "nan", '"', "1,2", "\0", "\r"])


@given(st.lists(st.lists(CELLS, max_size=5), max_size=5), st.sampled_from(["raise", "skip"]))
def test_any_text(rows: list[list[str]], on_error: str) -> None:
    lines = ["#x, y, error_x", *(", ".join(row) for row in rows)]
    try:
        read("\n".join(lines).encode(), format="pyme", on_error=on_error)
    except smlmfmt.FormatError as error:
        assert "file" in str(error)  # noqa: PT017 - either is right.
