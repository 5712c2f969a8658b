"""Programs without a format name of their own come out right through plain csv, or are refused."""

from __future__ import annotations

import io
from typing import Any

import pytest

import smlmfmt
from smlmfmt import Bundle, LocTable
from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError


def read(text: str | bytes, **options: Any) -> Bundle:
    data = text.encode() if isinstance(text, str) else text
    bundle = smlmfmt.read(io.BytesIO(data), **options)
    assert bundle.format == "csv"
    return bundle


def first(table: LocTable, *names: str) -> list[float]:
    return [float(table[name][0]) for name in names]


STORM_ANALYSIS = (
    "index,background,category,error,frame_number,height,iterations,significance,sum,track_id,"
    "track_length,x,xsigma,y,z\n0,100,1,0,7,300,5,20,2000,3,2,10,1.5,20,0.25\n"
)
PICASSO = "frame,x,y,photons,sx,sy,bg,lpx,lpy,net_gradient,z\n0,10,20,900,1,1.5,5,0.1,0.2,7,-30\n"
INSIGHT3 = (
    "Cas44178\tX\tY\tXc\tYc\tHeight\tArea\tWidth\tPhi\tAx\tBG\tI\tFrame\tLength\tLink\tValid\tZ\tZc\n"
    "1\t10\t20\t11\t21\t1\t2\t3\t4\t5\t6\t7\t8\t9\t-1\t1\t-30\t-31\n"
)
GDSC = (
    "#Frame\torigX\torigY\torigValue\tError\tNoise\tSignal\tX\tY\n1\t9\t19\t5\t1\t1\t900\t10\t20\n"
)


@pytest.mark.parametrize("text", [STORM_ANALYSIS, PICASSO, INSIGHT3, GDSC])
def test_positions_in_pixels_though_the_header_does_not_say(text: str) -> None:
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(text)
    assert first(read(text, pixel_size_nm=100).tables[0], "x", "y") == [1000, 2000]


def test_storm_analysis() -> None:
    table = read(STORM_ANALYSIS, pixel_size_nm=100).tables[0]
    assert first(table, "z", "sigma_x", "intensity", "frame", "track_id") == [250, 150, 2000, 7, 3]
    assert table.frame_origin == 0


def test_picasso_as_csv() -> None:
    table = read(PICASSO, pixel_size_nm=100).tables[0]
    assert first(table, "z", "sigma_y", "x_precision", "y_precision") == [-30, 150, 10, 20]


def test_insight3_as_text() -> None:
    table = read(INSIGHT3, pixel_size_nm=100).tables[0]
    assert first(table, "z", "x_drift_corrected", "z_drift_corrected") == [-30, 1100, -31]


def test_dom_has_pixels_and_nanometres() -> None:
    text = (
        "X_(px)\tY_(px)\tFrame_Number\tX_(nm)\tX_loc_error(nm)\tY_(nm)\tY_loc_error(nm)\tZ_(nm)\t"
        "Z_loc_error(nm)\tAmplitude_fit\tBGfit\tSD_X_(nm)\tSD_Y_(nm)\tIntegratedInt\tSNR\n"
        "10\t20\t3\t640\t8\t1280\t9\t0\t0\t300\t100\t130\t140\t900\t5\n"
    )
    for header in (text, text.replace("Frame_Number", '"Frame Number"')):
        table = read(header).tables[0]
        names = ("frame", "x", "y", "x_precision", "y_precision", "sigma_x", "sigma_y", "x_px")
        assert first(table, *names) == [3, 640, 1280, 8, 9, 130, 140, 10]


@pytest.mark.parametrize("sign", "-_")
def test_vutara(sign: str) -> None:
    text = (
        (
            "image-ID,cycle,z-step,frame,particle-ID,accum,probe,photon-count,psfx,x,y,z,amp,valid\n"
            "1,0,0,5,2,1,0,900,1.2,1000,2000,-30,4,1\n"
        )
        .replace("-ID", f"{sign}ID")
        .replace("-step", f"{sign}step")
        .replace("-count", f"{sign}count")
    )
    bundle = read(text)
    assert first(bundle.tables[0], "frame", "image_id", "x", "z", "intensity") == [
        5, 1, 1000, -30, 900
    ]  # fmt: skip
    assert bundle.warnings == ()


def test_rainstorm() -> None:
    bundle = read(
        "idx,frame_idx,x_coord,y_coord,x_std,y_std,I,sig_x,sig_y\n1,2,10,20,5,6,900,1,2\n"
    )
    table = bundle.tables[0]
    assert first(table, "id", "frame", "x", "y", "x_precision", "intensity") == [
        1,
        2,
        10,
        20,
        5,
        900,
    ]
    assert table.units["sig_x"] == ""  # Of its unit nobody speaks.
    assert bundle.warnings == ()


def test_leica_gsd_says_that_its_unit_is_taken_for_granted() -> None:
    bundle = read(
        "stackID,frameID,eventID,x0,y0,photon_count,z0,type,n_raw\n0,5,1,10,20,900,-3,0,1\n"
    )
    assert first(bundle.tables[0], "frame", "x", "y", "z", "intensity") == [5, 10, 20, -3, 900]
    assert "x0, y0, z0 carry no unit; taken as nm" in bundle.warnings[0]


def test_zola_and_others_with_units_in_brackets() -> None:
    text = "id,frame,x [nm],y [nm],z [nm],intensity,background,chi2,crlbX\n1,2,3,4,5,6,7,8,9\n"
    assert smlmfmt.sniff(io.BytesIO(text.encode())) == "thunderstorm"


@pytest.mark.parametrize(
    "text", ["10.5 20.5 -3 900 7\n", "10.5\t20.5\t-3\t1\t1\t2\t900\t7\n", "1,2,3,4,5,6\n"]
)
def test_visp_and_other_tables_without_a_header_ask_for_numbers(text: str) -> None:
    with pytest.raises(FormatError, match=r"no header, but .* columns of numbers.*--column x=0"):
        read(text)
    mapping = {"x": 0, "y": 1, "z": 2}
    assert first(read(text, columns=mapping).tables[0], "x", "y", "z") == [
        float(cell) for cell in text.replace(",", " ").split()[:3]
    ]
    # As the command line passes them on.
    assert len(read(text, columns={"x": "0", "y": "1"}).tables[0]) == 1


def test_an_unknown_header_is_shown() -> None:
    text = "Time;PosX;PosY\n1;2;3\n"
    with pytest.raises(FormatError, match=r"'Time', 'PosX', 'PosY'.*columns=.*--column"):
        read(text)
    assert first(read(text, columns={"x": "PosX", "y": "PosY"}).tables[0], "x", "y") == [2, 3]


def test_a_header_of_very_many_columns_is_shown_in_part() -> None:
    text = ",".join(f"column{index}" for index in range(3000)) + "\n"
    with pytest.raises(FormatError, match="and 2968 more") as caught:
        read(text)
    assert len(str(caught.value)) < 4000


def test_positions_in_what_is_no_length() -> None:
    with pytest.raises(UnitError, match=r"'x \(photon\)' must have a unit of length"):
        read("x (photon),y (nm)\n1,2\n")


def test_nanometres_win_over_pixels_whatever_comes_first() -> None:
    for text in ("x (px),y (px),x (nm),y (nm)\n1,2,100,200\n", "x (nm),x (px),y (nm)\n100,1,200\n"):
        table = read(text).tables[0]
        assert first(table, "x", "y", "x_px") == [100, 200, 1]
        assert (table.units["x"], table.units["x_px"]) == ("nm", "px")


def test_z_in_pixels_is_said_to_be_of_the_size_of_x() -> None:
    bundle = read("x (px),y (px),z (px)\n1,2,3\n", pixel_size_nm=100)
    assert first(bundle.tables[0], "z") == [300]
    assert any("z is taken to be in pixels" in note for note in bundle.warnings)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("x y\n1 2\n", " "), ('"x" "y"\n1 2\n', " "), ("x\ty\n1,5\t2\n", "\t"),
        ('"x, lateral (nm)"\t"y, lateral (nm)"\n1\t2\n', "\t"),
    ],
)  # fmt: skip
def test_delimiters_outside_quotes(text: str, delimiter: str) -> None:
    mapping = {"x": 0, "y": 1}
    table = read(text, columns=mapping).tables[0]
    assert table.columns == ("x", "y"), delimiter


def test_trailing_delimiters() -> None:
    for text in ("x,y,\n1,2,\n", "x,y\n1,2,\n", "x,y,\n1,2\n"):
        table = read(text).tables[0]
        assert table.columns == ("x", "y")
        assert first(table, "x", "y") == [1, 2]


def test_a_column_without_a_name_is_kept_if_it_holds_something() -> None:
    table = read(",x,y\n7,1,2\n").tables[0]
    assert table.columns == ("column", "x", "y")
    assert first(table, "column") == [7]


def test_columns_of_text() -> None:
    bundle = read("x,y,cell,channel\n1,2,A,red\n3,4,B b,green\n5,6,A,red\n")
    table = bundle.tables[0]
    assert table["cell"].tolist() == table["channel"].tolist() == [0, 1, 0]
    assert table.metadata["labels"] == {"cell": ["A", "B b"], "channel": ["red", "green"]}
    assert sum("holds text" in note for note in bundle.warnings) == 2


def test_text_in_a_measured_column_is_an_error() -> None:
    with pytest.raises(RowError, match="line 2"):
        read("x,y,intensity\n1,2,bright\n")
    with pytest.raises(RowError, match=r"line 3: .*'3,4,B'"):
        read("x,y,cell\n1,2,7\n3,4,B\n")


def test_text_of_other_encodings() -> None:
    assert read("x,y,cell\n1,2,Zélle\n".encode("latin-1")).tables[0].metadata["labels"] == {
        "cell": ["Zélle"]
    }
    assert read("x,y,cell\n1,2,Zelle µ\n").tables[0].metadata["labels"] == {"cell": ["Zelle µ"]}


def test_texts_of_many_blocks_keep_their_numbers() -> None:
    rows = "".join(f"{index},1,cell {index // 1000 % 7}\n" for index in range(100_000))
    table = read(f"x,y,cell\n{rows}").tables[0]
    assert table.metadata["labels"] == {"cell": [f"cell {index}" for index in range(7)]}
    assert (table["cell"] == table["x"] // 1000 % 7).all()


def test_comments_above_the_rows_are_kept() -> None:
    bundle = read("# made by us\n# x, y\n1,2\n")
    assert bundle.tables[0].metadata == {"comments": ["made by us"]}


def test_a_mapped_column_that_is_not_there() -> None:
    with pytest.raises(HeaderError, match="'gone'"):
        read("x,y\n1,2\n", columns={"x": "gone", "y": "y"})
