"""Small valid files of every format, from which a fuzzer begins."""

from __future__ import annotations

import io
from collections import defaultdict
from functools import cache
from pathlib import Path

import smlmfmt
from smlmfmt.known_formats import FORMATS
from tests.smlmfmt import hdf5_files, test_fuzz, test_fuzz_binary, text_samples

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHARED_SIZE_MAX = 64 << 10  # A fuzzer that changes a byte of a megabyte finds nothing.


@cache
def seeds() -> dict[str, list[bytes]]:
    """Return the contents of files by the name of their format."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for name, data in test_fuzz.SAMPLES.items():
        found["thunderstorm" if name == "text" else "smlm"].append(data)
    for format_name, data in test_fuzz_binary.SAMPLES.values():
        found[format_name].append(data)
    for format_name, data in text_samples.SAMPLES.values():
        found[format_name].append(data)
    found["picasso"].append(hdf5_files.picasso())
    found["decode"].append(hdf5_files.decode())
    found["smap"].append(hdf5_files.smap())
    found["pyme"].append(hdf5_files.pyme_fits())
    for path in sorted(SHARED.glob("*")):
        if path.is_file() and path.stat().st_size <= SHARED_SIZE_MAX:
            sniffed = smlmfmt.sniff(path)
            if sniffed is not None:
                found[sniffed].append(path.read_bytes())
    for format_name in FORMATS:
        if not found[format_name]:
            found[format_name].append(_written(format_name))
    return dict(found)


def _written(format_name: str) -> bytes:
    """Return a file that we write, of a format of which there is no other."""
    if FORMATS[format_name].write is None:
        return b"x,y\n1,2\n"
    file = io.BytesIO()
    table = smlmfmt.LocTable({"frame": [1, 2], "x": [1.5, 2.5], "y": [3.0, 4.0]})
    write = FORMATS[format_name].write
    assert write is not None
    write(file, smlmfmt.Bundle(tables=(table,)), smlmfmt.format.WriteOptions(pixel_size_nm=100))
    return file.getvalue()
