"""Real files, and files written by other programs, against what those programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import LocTable, smlm

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TRUTH: dict[str, Any] = {}
if (SHARED / "truth.json").is_file():
    TRUTH = json.loads((SHARED / "truth.json").read_text())

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not TRUTH, reason="the shared sample files are not here"),
]

SMLM = ["app_colicoords_03_storm", "app_elyra", "app_rapidstorm", "eiffel_tower",
        "java_smlmio_storm_table", "locan_saved_elyra"]  # fmt: skip
TEXT = {
    "colicoords_03_storm.csv": "thunderstorm",
    "colicoords_storm_table.csv": "thunderstorm",
    "thunderstorm_tubulins1_00020.csv": "challenge",
    "locan_five_blobs_3D.txt": "csv",
    "locan_Nanoimager_dstorm_data.csv": "nanoimager",
    "locan_Elyra_dstorm_data.txt": "zeiss-txt",
    "locan_rapidSTORM_dstorm_data.txt": "rapidstorm",
    "locan_rapidSTORM_from_images.txt": "rapidstorm",
    "pyme_test_csv.csv": "pyme",
    "pyme_test_hdf.hdf": "pyme",
    "pyminflux_Fig2_U2OS_Tom70-Dreiklang_ATP5B_AB_Minflux3D.csv": "pyminflux",
}


def compare(table: LocTable, truth: dict[str, Any]) -> None:
    """Compare column by column, in the file's order: names differ between programs."""
    assert len(table) == truth["rows"]
    assert len(table.columns) == len(truth["columns"])
    for name, source in zip(table.columns, truth["columns"], strict=True):
        wanted = truth["stats"][source]
        values = table[name].astype(np.float64)
        assert values.min() == wanted["min"], source
        assert values.max() == wanted["max"], source
        assert values.mean() == pytest.approx(wanted["mean"], rel=1e-12), source


def tables_of(name: str) -> list[dict[str, Any]]:
    truth = TRUTH[name]
    return list(truth.get("tables") or truth["locan"]["tables"])


@pytest.mark.parametrize("name", SMLM)
def test_smlm_equals_what_others_read(name: str) -> None:
    path = SHARED / f"{name}.smlm"
    assert smlmfmt.sniff(path) == "smlm"
    bundle = smlmfmt.read(path)
    for table, truth in zip(bundle.tables, tables_of(path.name), strict=True):
        compare(table, truth)
        assert {"frame", "x", "y"} <= set(table.columns)
        assert table.units["x"] == table.units["y"] == "nm"


@pytest.mark.parametrize(("name", "format_name"), TEXT.items())
def test_text_equals_what_others_read(name: str, format_name: str) -> None:
    assert smlmfmt.sniff(SHARED / name) == format_name
    bundle = smlmfmt.read(SHARED / name)
    compare(bundle.tables[0], TRUTH[name])


@pytest.mark.parametrize("name", ["picasso_raw_movie_locs", "picasso_egfr_mols"])
def test_picasso_equals_what_picasso_reads(name: str, tmp_path: Path) -> None:
    path = SHARED / f"{name}.hdf5"
    assert smlmfmt.sniff(path) == "picasso"
    bundle = smlmfmt.read(path)
    table, truth = bundle.tables[0], TRUTH[path.name]
    assert len(table) == truth["rows"]
    assert [table.source_names[column] for column in table.columns] == truth["columns"]
    for column in table.columns:
        wanted = truth["stats"][table.source_names[column]]
        pixel = {"nm": np.float32(130), "nm^2": np.float32(130**2)}.get(table.units[column], 1)
        values = table[column]
        assert str(values.dtype) == wanted["dtype"]
        assert values.min() == values.dtype.type(wanted["min"]) * pixel, column
        assert values.max() == values.dtype.type(wanted["max"]) * pixel, column
        mean = values.mean(dtype=np.float64) / pixel
        assert mean == pytest.approx(wanted["mean"], rel=1e-7), column
    documents = bundle.manifest["documents"]
    for found, wanted in zip(documents, truth["yaml_docs"], strict=True):
        assert wanted.items() <= found.items()
    smlmfmt.write(tmp_path / "again.hdf5", bundle)
    again = smlmfmt.read(tmp_path / "again.hdf5")
    assert again.manifest == bundle.manifest
    for column in table.columns:
        np.testing.assert_array_equal(again.tables[0][column], table[column])
        assert again.tables[0].units[column] == table.units[column]


def test_both_files_of_pyme_say_the_same() -> None:
    binary = smlmfmt.read(SHARED / "pyme_test_hdf.hdf").tables[0]
    text = smlmfmt.read(SHARED / "pyme_test_csv.csv").tables[0]
    assert set(binary.columns) == set(text.columns)
    assert binary.units == text.units
    assert {"frame", "x", "y", "z", "x_precision", "sigma"} <= set(text.columns)
    for column in binary.columns:  # The text has seven digits.
        np.testing.assert_allclose(binary[column], text[column], rtol=6e-7)


@pytest.mark.parametrize(
    ("name", "origin", "column", "unit"),
    [
        ("locan_Elyra_dstorm_data.txt", 1, "uncertainty_xy", "nm"),
        ("locan_Nanoimager_dstorm_data.csv", 0, "intensity", "photon"),
        ("locan_rapidSTORM_from_images.txt", 0, "fwhm_y", "nm"),
        ("thunderstorm_tubulins1_00020.csv", 1, "z", "nm"),
    ],
)
def test_frames_and_units_of_microscopes(name: str, origin: int, column: str, unit: str) -> None:
    table = smlmfmt.read(SHARED / name).tables[0]
    assert table.frame_origin == origin
    assert table.units["x"] == table.units["y"] == "nm"
    assert table.units[column] == unit


def test_trailer_of_a_microscope() -> None:
    table = smlmfmt.read(SHARED / "locan_Elyra_dstorm_data.txt").tables[0]
    assert table.metadata["trailer"].startswith("VoxelSizeX : 0.0970873786 µm")
    assert table.metadata["trailer"].endswith("ROI List :")


@pytest.mark.parametrize("name", SMLM)
def test_hash_of_the_app_is_understood(name: str) -> None:
    stray = smlm.deviations(SHARED / f"{name}.smlm")
    assert any("md5" in text for text in stray) == (name == "locan_saved_elyra")


def test_deviations_of_peers() -> None:
    assert smlm.deviations(SHARED / "java_smlmio_storm_table.smlm") == []
    locan = "\n".join(smlm.deviations(SHARED / "locan_saved_elyra.smlm"))
    for part in ("extension", "rows is text", "named x and y", "int8", "offset lacks"):
        assert part in locan


def test_thumbnail_in_the_manifest() -> None:
    bundle = smlmfmt.read(SHARED / "eiffel_tower.smlm")
    assert [image.name for image in bundle.images] == ["thumbnail"]
    assert bundle.images[0].data.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SMLM)
def test_written_again_in_the_common_dialect(name: str, tmp_path: Path) -> None:
    bundle = smlmfmt.read(SHARED / f"{name}.smlm")
    path = tmp_path / "a.smlm"
    smlmfmt.write(path, bundle)
    assert smlm.deviations(path) == []
    for one, other in zip(bundle.tables, smlmfmt.read(path).tables, strict=True):
        assert one.columns == other.columns
        for column in one.columns:
            np.testing.assert_array_equal(one[column].astype(np.float32), other[column])


def test_thunderstorm_and_smlm_say_the_same(tmp_path: Path) -> None:
    table = smlmfmt.read(SHARED / "colicoords_03_storm.csv").tables[0]
    app = smlmfmt.read(SHARED / "app_colicoords_03_storm.smlm").tables[0]
    assert table.columns == app.columns
    assert table.units == app.units
    for column in table.columns:
        np.testing.assert_array_equal(table[column].astype(np.float32), app[column])
    smlmfmt.write(tmp_path / "a.csv", table)
    again = smlmfmt.read(tmp_path / "a.csv").tables[0]
    for column in table.columns:
        np.testing.assert_array_equal(table[column], again[column])


def test_minflux_recording_equals_what_numpy_reads() -> None:
    path = SHARED / "pyminflux_3D_ValidOnly.npy.zip"
    truth = TRUTH[path.name]
    assert smlmfmt.sniff(path) == "minflux"
    bundle = smlmfmt.read(path)
    table = bundle.tables[0]
    assert len(table) == truth["rows"]
    names = {"tim": "time"}
    for source, wanted in truth["stats"].items():
        name = names.get(source, source)
        scale = 1e9 if source in ("x", "y", "z") else 1.0  # The truth is in metres.
        values = table[name].astype(np.float64)
        for found, key in ((values.min(), "min"), (values.max(), "max"), (values.mean(), "mean")):
            assert found == pytest.approx(wanted[key] * scale, rel=1e-12, abs=1e-12), (source, key)
        assert table[name].dtype == wanted["dtype"]
    # The ratio of the last iteration stands at "not measured"; the seventh has the last real one.
    assert table.metadata == {
        "iterations": truth["iterations"], "iteration": 9, "cfr_iteration": 6, "variant": "last",
    }  # fmt: skip
    assert (table["cfr_measured"] > table["cfr"].max()).any()
    assert "refractive" in bundle.warnings[0]
    assert len(smlmfmt.read(path, variant="all").tables[0]) > truth["rows"]


def test_minflux_struct_equals_what_scipy_reads() -> None:
    path = SHARED / "pyminflux_Fig1a_Tom70-Dreiklang_Minflux.mat"
    truth = TRUTH[path.name]
    assert smlmfmt.sniff(path) == "minflux"
    bundle = smlmfmt.read(path)
    table = bundle.tables[0]
    assert len(table) == truth["rows"]
    names = {"pos_x": "x", "pos_y": "y", "pos_z": "z", "t": "time", "id": "tid"}
    for source, wanted in truth["stats"].items():
        values = table[names.get(source, source)]
        assert values.min() == wanted["min"], source
        assert values.max() == wanted["max"], source
        assert values.mean() == pytest.approx(wanted["mean"], rel=1e-12), source
    assert table.metadata["meta"]["Dye"] == "Atto655"
    assert bundle.warnings == ()
