"""Every format by its name; its module is imported when the format is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from smlmfmt.format import Format

__all__ = ["FORMATS", "KnownFormats"]

# In the order of detection: the particular before the general.
_PLACES = {
    "smlm": "smlm.FORMAT",
    "picasso": "picasso.FORMAT",
    "decode": "decode.FORMAT",
    "smap": "smap.FORMAT",
    "rapidstorm": "rapidstorm.FORMAT",
    "decode-csv": "decode_csv.FORMAT",
    "trackmate": "trackmate.FORMAT",
    "nstorm": "nstorm.FORMAT",
    "quickpalm": "quickpalm.FORMAT",
    "zeiss-txt": "zeiss.FORMAT",
    "zeiss-csv": "zeiss.FORMAT_CSV",
    "nanoimager": "nanoimager.FORMAT",
    "pyme": "pyme.FORMAT",
    "minflux": "minflux.FORMAT",
    "smite": "smite.FORMAT",
    "locan": "locan.FORMAT",
    "insight3": "insight3.FORMAT",
    "parquet": "parquet.FORMAT",
    "tsf": "tsf.FORMAT",
    "pyminflux": "pyminflux.FORMAT",
    "abbelight": "abbelight.FORMAT",
    "thunderstorm": "thunderstorm.FORMAT",
    "thunderstorm-xls": "thunderstorm.FORMAT_XLS",
    "challenge": "challenge.FORMAT",
    "smap-csv": "smap_csv.FORMAT",
    "malk": "malk.FORMAT",
    "csv": "delimited.FORMAT",
}


class KnownFormats(Mapping[str, Format]):
    """The formats in the order in which a file is tried.

    Whoever reads one format pays for the import of one: all of them take longer to import than a
    small file to read.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self.loaded: dict[str, Format] = {}

    def __getitem__(self, name: str) -> Format:
        if name not in self.loaded:
            module, _, attribute = self._places[name].partition(".")
            found: Format = getattr(import_module(f"smlmfmt.{module}"), attribute)
            assert found.info.name == name
            self.loaded[name] = found
        return self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


FORMATS = KnownFormats(_PLACES)
