# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Read and write .smlm at full size, beside the programs people use for it today.

    python -m tests.benchmarks.bench_smlm [--rows 5000000 47800000] [--data DIR] [--json FILE]
                                          [--peer-python PYTHON]

The peers come from the `benchmark` extra (pip install 'locmesh[benchmark]'); those that are not
installed are named and left out. "foreign" is deflated by zlib at level 6 without an index, "own"
is what Locmesh writes. shareloc-utils has no way to read a part of a table: beside our row range
stands its reading of all rows.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.contest import Case, Contest, Files
from tests.benchmarks.localizations import chunks, columns, write_foreign

WRITE, FOREIGN, OWN = "write", "read foreign", "read own"
RANGE, SOME = "read own, 10,000 rows", "read own, x y frame only"
# Locan formats value by value; what it takes is measured on fewer rows and scaled up.
LOCAN_WRITE_ROWS = 20_000
LOCAN_READ_ROWS_LIMIT = 5_000_000


def read_locmesh(files: Files) -> Callable[[], object]:
    import smlmfmt

    return lambda: smlmfmt.read(files.source)


def range_locmesh(files: Files) -> Callable[[], object]:
    import smlmfmt

    middle = files.rows // 2
    end = min(middle + 10_000, files.rows)
    return lambda: smlmfmt.read(files.source, rows=(middle, end))


def columns_locmesh(files: Files) -> Callable[[], object]:
    import smlmfmt

    return lambda: smlmfmt.read(files.source, only=("x", "y", "frame"))


def read_shareloc(files: Files) -> Callable[[], object]:
    from shareloc_utils.smlm_file import read_smlm_file

    return lambda: read_smlm_file(str(files.source))


def read_locan(files: Files) -> Callable[[], object]:
    import locan

    return lambda: locan.load_SMLM_file(files.source)


def write_locmesh(files: Files) -> Callable[[], object]:
    import smlmfmt

    table = smlmfmt.LocTable(columns(files.rows), name="bench")
    return lambda: smlmfmt.write(files.target, table, format="smlm")


def write_zlib(files: Files) -> Callable[[], object]:
    data = columns(files.rows)
    step = 1_000_000
    parts = (
        {name: values[start : start + step] for name, values in data.items()}
        for start in range(0, files.rows, step)
    )
    return lambda: write_foreign(files.target, parts, files.rows)


def write_locan(files: Files) -> Callable[[], object]:
    import locan

    pd = importlib.import_module("pandas")
    names = {"x": "position_x", "y": "position_y"}
    frame = pd.DataFrame({names.get(key, key): data for key, data in columns(files.rows).items()})
    data = locan.LocData.from_dataframe(frame)
    return lambda: locan.save_SMLM(data, files.target)


SHARELOC = "shareloc_utils"
CASES = [
    Case(work=WRITE, who="Locmesh", prepare=write_locmesh, source=""),
    Case(work=WRITE, who="zipfile, zlib 6", prepare=write_zlib, source=""),
    Case(work=WRITE, who="Locan", prepare=write_locan, source="", module="locan",
         rows_max=LOCAN_WRITE_ROWS),
    Case(work=FOREIGN, who="Locmesh", prepare=read_locmesh, source="foreign.smlm"),
    Case(work=FOREIGN, who="shareloc-utils", prepare=read_shareloc, source="foreign.smlm",
         module=SHARELOC),
    Case(work=FOREIGN, who="Locan", prepare=read_locan, source="foreign.smlm", module="locan",
         rows_limit=LOCAN_READ_ROWS_LIMIT),
    Case(work=OWN, who="Locmesh", prepare=read_locmesh, source="own.smlm"),
    Case(work=OWN, who="shareloc-utils", prepare=read_shareloc, source="own.smlm",
         module=SHARELOC),
    Case(work=RANGE, who="Locmesh", prepare=range_locmesh, source="own.smlm"),
    Case(work=RANGE, who="shareloc-utils", prepare=read_shareloc, source="own.smlm",
         module=SHARELOC),
    Case(work=SOME, who="Locmesh", prepare=columns_locmesh, source="own.smlm"),
    Case(work=SOME, who="shareloc-utils", prepare=read_shareloc, source="own.smlm",
         module=SHARELOC),
]  # fmt: skip


def make(name: str, path: Path, rows: int) -> None:
    if name == "foreign.smlm":
        write_foreign(path, chunks(rows), rows)
        return
    import smlmfmt

    smlmfmt.write(path, smlmfmt.LocTable(columns(rows), name="bench"))


if __name__ == "__main__":
    title = (__doc__ or "").splitlines()[0]
    Contest(__file__, title, cases=CASES, make=make).main()
