"""Other programs' readers and writers behind one command line, run by the Python that has them.

    PYTHON tests/interop/peers.py versions
    PYTHON tests/interop/peers.py write PROGRAM KIND COLUMNS.npz OUT
    PYTHON tests/interop/peers.py read PROGRAM KIND FILE OUT.npz

It imports nothing of this project but where the program is this project, so that each peer may live
in an environment of its own. KIND is a format name of ours; columns are x, y, z in nm, frame,
intensity and so on, under our names. `read` and `write` print one line of JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]

PIXEL_SIZE_NM = 100.0
COMPARED = ("x", "y", "z", "frame", "intensity")
DISTRIBUTIONS = {
    "Locmesh": "locmesh",
    "Locan": "locan",
    "shareloc-utils": "shareloc-utils",
    "Picasso": "picassosr",
    "napari-storm": "napari-storm",
}


class NoReaderError(Exception):
    """The program has nothing for this kind of file."""


def read_locmesh(path: Path, _kind: str) -> Columns:
    """Read without a hint: the content has to do."""
    smlmfmt: Any = import_module("smlmfmt")
    table = smlmfmt.read(path).tables[0]
    columns = {name: table[name] for name in table}
    if table.frame_origin == 0 and "frame" in columns:
        columns["frame"] = columns["frame"] + 1
    return columns


def write_locmesh(path: Path, kind: str, columns: Columns) -> None:
    smlmfmt: Any = import_module("smlmfmt")
    lengths = {"x", "y", "z", "sigma_x", "sigma_y", "uncertainty_xy"}
    units = {name: "nm" if name in lengths else "" for name in columns}
    units |= {name: "photon" for name in ("intensity", "background") if name in columns}
    table = smlmfmt.LocTable(columns, units, name="cell", frame_origin=1)
    smlmfmt.write(path, table, format=kind, pixel_size_nm=PIXEL_SIZE_NM)


LOCAN_READERS = {
    "smlm": "load_SMLM_file",
    "thunderstorm": "load_thunderstorm_file",
    "zeiss-txt": "load_Elyra_file",
    "rapidstorm": "load_rapidSTORM_file",
    "nanoimager": "load_Nanoimager_file",
    "decode": "load_decode_file",
    "smap": "load_SMAP_file",
    "locan": "load_asdf_file",
    "csv": "load_txt_file",
}
LOCAN_NAMES = {
    "frame": "frame",
    "position_x": "x",
    "position_y": "y",
    "position_z": "z",
    "intensity": "intensity",
    "local_background": "background",
    "psf_sigma_x": "sigma_x",
    "psf_sigma_y": "sigma_y",
    "uncertainty": "uncertainty_xy",
    "uncertainty_x": "uncertainty_xy",
}


def read_locan(path: Path, kind: str) -> Columns:
    if kind not in LOCAN_READERS:
        raise NoReaderError
    locan: Any = import_module("locan")
    found = getattr(locan, LOCAN_READERS[kind])(path)
    found = found[0] if isinstance(found, list) else found
    data = found.data
    return {LOCAN_NAMES.get(name, name): data[name].to_numpy() for name in data}


def write_locan(path: Path, kind: str, columns: Columns) -> None:
    locan: Any = import_module("locan")
    pandas: Any = import_module("pandas")
    names = {ours: theirs for theirs, ours in LOCAN_NAMES.items() if theirs != "uncertainty_x"}
    data = pandas.DataFrame({names.get(name, name): values for name, values in columns.items()})
    writers = {
        "smlm": "save_SMLM",
        "thunderstorm": "save_thunderstorm_csv",
        "smap-csv": "save_SMAP_csv",
        "locan": "save_asdf",
    }
    getattr(locan, writers[kind])(locan.LocData.from_dataframe(data), path)


def read_shareloc(path: Path, kind: str) -> Columns:
    if kind != "smlm":
        raise NoReaderError
    module: Any = import_module("shareloc_utils.smlm_file")
    tables = [file for file in module.read_smlm_file(str(path))["files"] if "data" in file]
    return {name: np.asarray(values) for name, values in tables[0]["data"].items()}


def write_shareloc(path: Path, _kind: str, columns: Columns) -> None:
    """Write the text that its converter makes of one of our .smlm files."""
    module: Any = import_module("shareloc_utils.batch_download")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "cell.smlm"
        write_locmesh(source, "smlm", columns)
        (made,) = module.convert_smlm(str(source))
        shutil.copyfile(made, path)


def read_picasso(path: Path, kind: str) -> Columns:
    io: Any = import_module("picasso.io")
    lib: Any = import_module("picasso.lib")
    with tempfile.TemporaryDirectory() as folder:
        # Its importers write a file beside the one they read.
        for item in path.parent.glob(f"{path.stem}.*"):
            shutil.copyfile(item, Path(folder) / item.name)
        copy = str(Path(folder) / path.name)
        if kind == "picasso":
            locs, info = io.load_locs(copy)
            pixel_nm = float(lib.get_from_metadata(info, "Pixelsize", raise_error=True))
        elif kind in ("thunderstorm", "smap"):
            importer = io.import_ts if kind == "thunderstorm" else io.import_smap
            locs, pixel_nm = importer(copy, PIXEL_SIZE_NM)[0], PIXEL_SIZE_NM
        else:
            raise NoReaderError
    columns = {name: locs[name].to_numpy() for name in locs}
    found: Columns = {
        "x": columns["x"].astype(float) * pixel_nm,
        "y": columns["y"].astype(float) * pixel_nm,
        "frame": columns["frame"].astype(float) + 1,
    }
    found |= {"z": columns["z"]} if "z" in columns else {}
    found |= {"intensity": columns["photons"]} if "photons" in columns else {}
    return found


def write_picasso(path: Path, kind: str, columns: Columns) -> None:
    io: Any = import_module("picasso.io")
    pandas: Any = import_module("pandas")
    lateral = {"x": "x", "y": "y", "sx": "sigma_x", "sy": "sigma_y", "lpx": "uncertainty_xy"}
    lateral["lpy"] = "uncertainty_xy"
    data = {name: columns[ours] / PIXEL_SIZE_NM for name, ours in lateral.items()}
    data |= {"z": columns["z"], "photons": columns["intensity"], "bg": columns["background"]}
    data = {name: values.astype(np.float32) for name, values in data.items()}
    locs = pandas.DataFrame({"frame": (columns["frame"] - 1).astype(np.uint32), **data})
    info = [
        {
            "Frames": int(columns["frame"].max()),
            "Height": 256,
            "Width": 256,
            "Pixelsize": PIXEL_SIZE_NM,
            "Generated by": "Picasso Localize",
        }
    ]
    if kind == "smap":
        # It insists on the suffix _sml.mat.
        made = path.with_name("cell_sml.mat")
        io.export_smap(str(made), locs, info)
        made.replace(path)
    else:
        writer = io.save_locs if kind == "picasso" else io.export_thunderstorm
        writer(str(path), locs, info)


def read_napari_storm(path: Path, kind: str) -> Columns:
    kinds: Any = import_module("napari_storm.localization_dataset_types")
    core: Any = import_module("napari_storm.core")
    v2: Any = import_module("napari_storm.localization_dataset_types.minflux_v2")
    asked = core.StaticMetadataProvider({core.PIXEL_SIZE_NM: str(PIXEL_SIZE_NM)})
    file, suffix = str(path), path.suffix
    storm = kinds.StormDataClass
    if suffix == ".csv":
        found = storm().load_csv(file, "cell")
    elif suffix == ".smlm":
        found = storm().load_smlm(file, "cell", metadata_provider=asked)
    elif kind == "picasso":
        found = storm().load_hdf5(file, "cell", metadata_provider=asked)
    elif suffix == ".npy":
        found = kinds.MinfluxDataAIIterationClass().load_single_itr(
            name="cell", file_path=file, itr=-1
        )
    elif suffix in (".mat", ".pmx") and v2.file_layout(file) == v2.LAYOUT_V2:
        found = v2.MinfluxDataV2Class().load(file)
    else:
        raise NoReaderError
    data = found[0] if isinstance(found, list) else found
    columns: Columns = {"x": np.asarray(data.x_pos_nm_all), "y": np.asarray(data.y_pos_nm_all)}
    if data.zdim_present:
        columns["z"] = np.asarray(data.z_pos_nm_all)
    if "frame_number" in data.locs_all.dtype.names:
        columns["frame"] = np.asarray(data.locs_all["frame_number"])
        if data.photon_count_present:
            columns["intensity"] = np.asarray(data.locs_all["photon_count"])
    return columns


READERS: dict[str, Callable[[Path, str], Columns]] = {
    "Locmesh": read_locmesh,
    "Locan": read_locan,
    "shareloc-utils": read_shareloc,
    "Picasso": read_picasso,
    "napari-storm": read_napari_storm,
}
WRITERS: dict[str, Callable[[Path, str, Columns], None]] = {
    "Locmesh": write_locmesh,
    "Locan": write_locan,
    "shareloc-utils": write_shareloc,
    "Picasso": write_picasso,
}


def versions() -> dict[str, str]:
    """Return the version of each program that this Python has."""
    found = {}
    for program, distribution in DISTRIBUTIONS.items():
        try:
            found[program] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def _read(program: str, kind: str, source: str, target: str) -> dict[str, str]:
    try:
        columns = READERS[program](Path(source), kind)
    except NoReaderError:
        return {"state": "none"}
    except Exception as error:  # noqa: BLE001 - whatever a peer stumbles over is its answer.
        return {"state": "refused", "error": type(error).__name__, "detail": str(error)[:300]}
    # Only what is compared: no strings, no objects.
    kept = {
        name: columns[name] for name in ("x", "y", "z", "frame", "intensity") if name in columns
    }
    np.savez(target, **kept)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for one.
    return {"state": "read"}


def _write(program: str, kind: str, source: str, target: str) -> dict[str, str]:
    with np.load(source) as columns:
        try:
            WRITERS[program](Path(target), kind, dict(columns))
        except Exception as error:  # noqa: BLE001 - as above.
            return {"state": "refused", "error": type(error).__name__, "detail": str(error)[:300]}
    return {"state": "written"}


def _main() -> None:
    command, *args = sys.argv[1:]
    answer: dict[str, str]
    if command == "versions":
        answer = versions()
    elif command == "read":
        answer = _read(*args)
    else:
        answer = _write(*args)
    sys.stdout.write("\n" + json.dumps(answer) + "\n")  # Peers print as well; the last line counts.


if __name__ == "__main__":
    _main()
