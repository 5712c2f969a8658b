"""Picasso's localizations and molecular maps: a compound dataset in HDF5, and notes beside it.

x, y and what is derived from them are in camera pixels, z and its precision in nm, frames count
from 0. The pixel size stands among the notes: YAML beside the file, or (Picasso 0.11 on) JSON
inside.

Source: jungmannlab/picasso docs/files.rst, table01.csv, table02.csv; picasso/io.py load_locs,
load_info, save_locs (0.11.3); picasso/lib.py get_from_metadata.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from smlmfmt.columnar import table_of_columns
from smlmfmt.documents import DOCUMENT_SIZE_MAX, json_documents, yaml_documents
from smlmfmt.errors import FormatError, HeaderError, UnitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.hdf5 import Hdf5File, sniff
from smlmfmt.picasso_write import PIXELS, companions, write_picasso
from smlmfmt.table import Bundle

__all__ = ["FORMAT", "read_picasso"]

LOCS = "/locs"
UNITS = dict.fromkeys(PIXELS, "px") | {
    "z": "nm",
    "lpz": "nm",
    "std_z": "nm",
    "photons": "photon",
    "bg": "photon",
    "photons_unc": "photon",
    "bg_unc": "photon",
    "angle": "deg",
    "angle_unc": "deg",
    "area": "px^2",
    "volume": "px^3",
}


def read_picasso(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a Picasso file; its notes are looked for beside it and in it.

    The pixel size is the caller's, else that of the last document that names one, as Picasso has
    it; the YAML file beside goes before the notes inside, as there.

    Raises:
        ArchiveError: The HDF5 file is damaged.
        HeaderError: There is no dataset "locs" with x and y.
        UnitError: The pixel size is not known.
    """
    opened = Hdf5File(file, name=options.name)
    locs = opened.dataset(LOCS)
    if locs is None or not {"x", "y"} <= set(locs.names):
        raise HeaderError(f"{options.name}: no dataset 'locs' with members x and y")
    documents, warnings = _notes(opened, options)
    size = _pixel_size(documents, options, warnings)
    if locs.left_out:
        warnings.append(f"{options.name}: no numbers, left out: {', '.join(locs.left_out)}")
    # A hull is an area in a flat map, in a deep one a volume.
    units = UNITS | {"convexhull": "px^3" if "z" in locs.names else "px^2"}
    table = table_of_columns(
        opened.read(locs),
        options=options,
        format_name="picasso",
        units=units,
        pixel_size_nm=size,
        frame_origin=0,
        metadata={"pixel_size_nm": size, "documents": documents},
    )
    return Bundle(
        tables=(table,),
        manifest={"documents": documents},
        format="picasso",
        warnings=tuple(warnings),
    )


def _notes(opened: Hdf5File, options: ReadOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the documents beside the file, else those in it, and what was wrong with either."""
    warnings: list[str] = []
    beside: list[dict[str, Any]] = []
    inside: list[dict[str, Any]] = []
    try:
        beside = _beside(options.path)
    except (FormatError, OSError) as error:
        warnings.append(f"{options.name}: the notes beside it are not read: {error}")
    try:
        embedded = opened.dataset("/metadata")
        if embedded is not None and embedded.text:
            inside = json_documents(embedded.text, name=f"{options.name}: /metadata")
    except FormatError as error:
        warnings.append(f"{options.name}: the notes in it are not read: {error}")
    sizes = {_noted_size(documents) for documents in (beside, inside)} - {None}
    if len(sizes) > 1:
        warnings.append(
            f"{options.name}: pixel sizes {_noted_size(beside)} nm beside it and"
            f" {_noted_size(inside)} nm in it; the former is taken, as Picasso does"
        )
    return beside or inside, warnings


def _beside(path: Path | None) -> list[dict[str, Any]]:
    """Return the documents of the YAML file that lies beside a file and shares its stem."""
    if path is None:
        return []
    notes = path.with_suffix(".yaml")
    if not notes.is_file():
        return []
    with notes.open("rb") as file:
        return yaml_documents(file.read(DOCUMENT_SIZE_MAX + 1), name=notes.name)


def _pixel_size(
    documents: Sequence[Mapping[str, Any]], options: ReadOptions, warnings: Sequence[str]
) -> float:
    size = _noted_size(documents) if options.pixel_size_nm is None else options.pixel_size_nm
    if size is None:
        why = "; ".join(warnings) or "no .yaml file of the same name lies beside it or names it"
        raise UnitError(
            f"{options.name}: x and y are in camera pixels, and no Pixelsize is noted ({why}): put"
            " Picasso's .yaml beside it, or give the pixel size in nm (pixel_size_nm=, or"
            " --pixel-size on the command line)"
        )
    return size


def _noted_size(documents: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the pixel size in nm of the last document that names one."""
    for document in reversed(documents):
        value = document.get("Pixelsize")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            size = float(value)
        except ValueError:
            continue
        if math.isfinite(size) and size > 0:
            return size
    return None


def _is_picasso(opened: Hdf5File) -> bool:
    locs = opened.dataset(LOCS)
    return locs is not None and {"x", "y"} <= set(locs.names)


def _sniff(head: bytes, file: BinaryIO) -> bool:
    return sniff(head, file, is_it=_is_picasso, marks=(b"locs",))


FORMAT = Format(
    info=FormatInfo(
        name="picasso",
        title="Picasso localizations (HDF5)",
        suffixes=(".hdf5",),
        reads=True,
        writes=True,
    ),
    media_type="application/x-hdf5",
    sniff=_sniff,
    read=read_picasso,
    write=write_picasso,
    companions=companions,
)
