"""What we write is read by the programs that others use, where they are installed (extra `peers`).

They are large, and each brings its own demands; without them these tests say nothing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle, Image, LocTable
from tests.smlmfmt.test_smlm import PNG

ROWS = 500
PIXEL_NM = 100.0
# Locan's names for ours.
LOCAN = {"x": "position_x", "y": "position_y", "z": "position_z", "background": "local_background"}


def peer(name: str) -> Any:
    """Import a peer, or skip: its own imports may need what this machine has not."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a peer may fail in ways of its own.
        pytest.skip(f"{name} is not to be had here: {error}")


def sample(*, is_3d: bool = False) -> LocTable:
    rng = np.random.default_rng(4)
    columns = {
        "frame": np.arange(1, ROWS + 1, dtype=np.float32),
        "x": rng.uniform(0, 4e4, ROWS).astype(np.float32),
        "y": rng.uniform(0, 4e4, ROWS).astype(np.float32),
        "intensity": rng.gamma(4, 300, ROWS).astype(np.float32),
        "background": rng.gamma(4, 30, ROWS).astype(np.float32),
        "uncertainty_xy": rng.gamma(4, 3, ROWS).astype(np.float32),
    }
    spread = ("z", "sigma_x", "sigma_y") if is_3d else ("sigma",)
    columns |= {name: rng.gamma(9, 15, ROWS).astype(np.float32) for name in spread}
    units = dict.fromkeys(columns, "nm") | {
        "frame": "", "intensity": "photon", "background": "photon",
    }  # fmt: skip
    return LocTable(columns, units, name="cell", frame_origin=1)


def archives(folder: Path) -> dict[str, Path]:
    """The same table written whole and as a stream of blocks, and one with a picture behind it."""
    table = sample()
    picture = Image(name="b.png", data=PNG, media_type="image/png")
    smlmfmt.write(folder / "whole.smlm", table)
    smlmfmt.write(folder / "picture.smlm", Bundle(tables=(table,), images=(picture,)))
    smlmfmt.write(folder / "cell.csv", table)
    smlmfmt.convert(folder / "cell.csv", folder / "stream.smlm")
    return {name: folder / f"{name}.smlm" for name in ("whole", "picture", "stream")}


@pytest.mark.parametrize("name", ["whole", "picture", "stream"])
def test_shareloc_utils_reads_our_archives(name: str, tmp_path: Path) -> None:
    smlm_file = peer("shareloc_utils.smlm_file")
    found = smlm_file.read_smlm_file(str(archives(tmp_path)[name]))["files"][0]
    table = sample()
    assert found["rows"] == ROWS
    for column in table.columns:
        np.testing.assert_array_equal(np.ravel(found["data"][column]), table[column])


@pytest.mark.parametrize("name", ["whole", "picture", "stream"])
def test_locan_reads_our_archives(name: str, tmp_path: Path) -> None:
    locan = peer("locan")
    found = locan.load_SMLM_file(archives(tmp_path)[name]).data
    table = sample()
    for column in table.columns:
        values = found[LOCAN.get(column, column)] if LOCAN.get(column) in found else found[column]
        np.testing.assert_array_equal(values.to_numpy(), table[column])


@pytest.mark.parametrize("dimension", [2, 3])
def test_locan_reads_our_thunderstorm_tables(dimension: int, tmp_path: Path) -> None:
    locan = peer("locan")
    table = sample(is_3d=dimension == 3)
    smlmfmt.write(tmp_path / "a.csv", table)
    found = locan.load_thunderstorm_file(tmp_path / "a.csv").data
    for name in ("x", "y", "z")[:dimension]:
        np.testing.assert_array_equal(
            found[f"position_{name}"].to_numpy().astype(np.float32), table[name]
        )
    assert found["frame"].to_numpy()[0] == 1


@pytest.mark.parametrize("dimension", [2, 3])
def test_picasso_reads_our_thunderstorm_tables(dimension: int, tmp_path: Path) -> None:
    io = peer("picasso.io")
    table = sample(is_3d=dimension == 3)
    smlmfmt.write(tmp_path / "a.csv", table)
    found, _ = io.import_ts(str(tmp_path / "a.csv"), PIXEL_NM)
    order = np.argsort(found["frame"].to_numpy(), kind="stable")
    assert len(found) == ROWS
    np.testing.assert_array_equal(found["frame"].to_numpy()[order], table["frame"] - 1)
    for name, column in (("x", "x"), ("y", "y"), ("lpx", "uncertainty_xy")):
        wanted = (table[column].astype(np.float64) / PIXEL_NM).astype(np.float32)
        np.testing.assert_allclose(found[name].to_numpy()[order], wanted, rtol=1e-6)
    if dimension == 3:
        np.testing.assert_array_equal(found["z"].to_numpy()[order].astype(np.float32), table["z"])
