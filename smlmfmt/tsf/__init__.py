"""Tagged spot files (.tsf): Micro-Manager's binary format, also of ThunderSTORM and GDSC SMLM.

Source: Micro-Manager, "Tagged Spot File (tsf) format" (2013); how its writers use it:
zitmen/thunderstorm ImportExport/TSFImportExport.java, aherbert/gdsc-smlm
TsfPeakResultsWriter.java and TsfPeakResultsReader.java, Micro-Manager's LoadAndSave.java.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import in_nanometres
from smlmfmt.errors import FormatError, UnitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable
from smlmfmt.tsf.fields import (
    ABSENT_UNIT,
    COUNTS,
    FWHM_OF_SIGMA,
    GDSC,
    HEADER_SIZE,
    LOCATION_UNITS,
    ONE_AXIS,
    PHOTONS,
    spot_fields,
)
from smlmfmt.tsf.spot_list import read_spot_list
from smlmfmt.tsf.spots import read_spots
from smlmfmt.tsf.write import write_tsf

__all__ = ["FORMAT", "read_tsf", "write_tsf"]

_NAMES = {"molecule": "id", "bkgstd": "background_std"}
_POSITIONS = ("x", "y", "z", "x_original", "y_original", "z_original")
_PRECISIONS = ("x_precision", "y_precision", "z_precision")
_INTENSITIES = ("intensity", "background", "bkgstd", "noise", "mean_intensity")
_INTENSITY_UNITS = {COUNTS: "digital", PHOTONS: "photon"}
_THETA_UNITS = {0: "deg", 1: "rad"}

Array = npt.NDArray[Any]


def read_tsf(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the spots of a binary tagged spot file; lengths in nm, widths as sigma.

    Raises:
        ArchiveError: The file is damaged, cut short, or was never finished.
        HeaderError: The SpotList lacks what it must say.
        RowError: A spot lacks a field that every spot must have.
        SizeLimitError: A message is larger than any.
        UnitError: Lengths are in pixels and neither the file nor the caller gives their size.
    """
    facts, list_start = read_spot_list(file, name=options.name)
    application = facts["application_id"]
    columns, count = read_spots(
        file, HEADER_SIZE, list_start, fields=spot_fields(application), name=options.name
    )
    spots = _Spots(columns, facts, options)
    spots.bring_to_nanometres()
    spots.widths_to_sigma()
    units = spots.units()
    names = {key: _NAMES.get(key, key) for key in columns}
    table = LocTable(
        {names[key]: values for key, values in columns.items()},
        {names[key]: unit for key, unit in units.items()},
        name=options.name,
        frame_origin=1,
        source_names={names[key]: spots.sources.get(key, key) for key in columns},
        metadata={"spot_list": facts},
        format="tsf",
    )
    warnings = (*_count_warnings(facts, count, options.name), *spots.warnings)
    return Bundle(tables=(table,), format="tsf", warnings=warnings)


class _Spots:
    """A file's columns, by field name, on their way to nm and sigma."""

    def __init__(
        self, columns: dict[str, Array], facts: dict[str, Any], options: ReadOptions
    ) -> None:
        self._columns = columns
        self._facts = facts
        self._options = options
        self.sources: dict[str, str] = {}
        self.warnings: list[str] = []

    def bring_to_nanometres(self) -> None:
        """Convert lengths from the unit of the file, or that of each spot."""
        units = self._columns.pop("location_units", None)
        own = self._facts.get("location_units")
        lengths = [*_POSITIONS, "width"]
        # GDSC SMLM keeps positions in whatever unit it fits in, but precision always in nm.
        if self._facts["application_id"] != GDSC:
            lengths += _PRECISIONS
        present = [key for key in lengths if key in self._columns]
        if units is None:
            self._convert(present, self._unit(own), slice(None))
            return
        for unit in np.unique(units).tolist():
            code = own if unit == ABSENT_UNIT else unit
            self._convert(present, self._unit(code), units == unit)

    def widths_to_sigma(self) -> None:
        """Replace the width at half height, and the ratio of widths, by standard deviations."""
        width = self._columns.pop("width", None)
        if width is None:
            return
        sigma = width / np.float32(FWHM_OF_SIGMA)
        self.sources |= {"sigma": "width", "sigma_x": "width", "sigma_y": "width"}
        ratio = self._columns.get("a")
        if ratio is None or self._facts.get("fit_mode", ONE_AXIS) == ONE_AXIS:
            self._columns["sigma"] = sigma
            return
        del self._columns["a"]
        with np.errstate(divide="ignore", invalid="ignore"):
            root = np.sqrt(ratio)
            self._columns["sigma_x"] = sigma * root
            self._columns["sigma_y"] = sigma / root

    def units(self) -> dict[str, str]:
        """Return the units of the columns, which are in nm by now."""
        own = self._columns.pop("intensity_units", None)
        kinds = set(np.unique(own).tolist()) if own is not None else {ABSENT_UNIT}
        if ABSENT_UNIT in kinds:
            kinds = kinds - {ABSENT_UNIT} | {self._facts.get("intensity_units", ABSENT_UNIT)}
        if len(kinds) > 1:
            raise UnitError(
                f"{self._options.name}: some intensities are counts, others photons; the file"
                " must say them in one unit"
            )
        intensity = _INTENSITY_UNITS.get(next(iter(kinds), -1), "")
        lengths = (*_POSITIONS, *_PRECISIONS, "sigma", "sigma_x", "sigma_y")
        units = {key: "nm" for key in lengths if key in self._columns}
        units |= {key: intensity for key in _INTENSITIES if key in self._columns}
        if "theta" in self._columns:
            units["theta"] = _THETA_UNITS.get(self._facts.get("theta_units", -1), "")
        return units

    def _unit(self, code: int | None) -> str:
        if code is None:
            # The specification wants units here or in each spot, and both may be left out.
            given = self._options.pixel_size_nm is not None
            taken = "camera pixels" if given else "nm"
            self.warnings.append(f"{self._options.name}: says no unit of length; taken as {taken}")
            return "px" if given else "nm"
        unit = LOCATION_UNITS.get(code)
        if unit is None:
            raise UnitError(f"{self._options.name}: unit of length number {code} is unknown")
        return unit

    def _convert(self, keys: list[str], unit: str, rows: Any) -> None:
        for key in keys:
            values = self._columns[key]
            converted, _ = in_nanometres(
                values[rows],
                unit,
                pixel_size_nm=self._pixel_size(),
                what=f"{self._options.name}: {key}",
            )
            if isinstance(rows, slice):
                self._columns[key] = converted
            else:
                values[rows] = converted

    def _pixel_size(self) -> float | None:
        given = self._options.pixel_size_nm
        own = self._facts.get("pixel_size")
        return given if given is not None or not own else float(own)


def _count_warnings(facts: dict[str, Any], count: int, name: str) -> Iterator[str]:
    declared = facts.get("nr_spots", 0)
    if declared and declared != count:
        yield f"{name}: says it has {declared} spots; there are {count}"


def _is_tsf(head: bytes, file: BinaryIO) -> bool:
    if len(head) < HEADER_SIZE or head[:4] != b"\0\0\0\0":
        return False
    start = struct.unpack(">q", head[4:HEADER_SIZE])[0]
    if start < 0:
        return False
    try:
        read_spot_list(file, name="file")
    except FormatError:
        return False
    return True


FORMAT = Format(
    info=FormatInfo(
        name="tsf",
        title="Tagged spot file (Micro-Manager)",
        suffixes=(".tsf",),
        reads=True,
        writes=True,
    ),
    media_type="application/octet-stream",
    sniff=_is_tsf,
    read=read_tsf,
    write=write_tsf,
)
