# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Read ThunderSTORM csv at full size, beside the fastest readers of csv.

    python -m tests.benchmarks.bench_csv [--rows 1000000 5000000 47800000] [--data DIR]
                                         [--json FILE] [--peer-python PYTHON]

We give float64 as float() reads it, headers understood, lengths in nm, bad lines named. pyarrow and
polars are told the types: float32 is the least that they can be asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.contest import Case, Contest, Files
from tests.benchmarks.localizations import HEADERS, write_csv

READ, STREAM, COLUMNS = "csv to table", "csv in blocks", "csv, x y frame only"
SOURCE = "thunderstorm.csv"


def read_locmesh(files: Files) -> Callable[[], object]:
    import pyarrow.csv  # noqa: F401 - as the peers' cases, the import is not measured.

    import smlmfmt

    return lambda: smlmfmt.read(files.source)


def blocks_locmesh(files: Files) -> Callable[[], object]:
    import pyarrow.csv  # noqa: F401 - as above.

    import smlmfmt

    return lambda: sum(len(block) for block in smlmfmt.iter_blocks(files.source))


def columns_locmesh(files: Files) -> Callable[[], object]:
    import pyarrow.csv  # noqa: F401 - as above.

    import smlmfmt

    return lambda: smlmfmt.read(files.source, only=("x", "y", "frame"))


def _pyarrow(files: Files, *, kind: str) -> Callable[[], object]:
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(2)
    types = dict.fromkeys(HEADERS, getattr(pa, kind)())
    options = csv.ConvertOptions(column_types=types)
    return lambda: csv.read_csv(files.source, convert_options=options)


def pyarrow_float32(files: Files) -> Callable[[], object]:
    return _pyarrow(files, kind="float32")


def pyarrow_float64(files: Files) -> Callable[[], object]:
    return _pyarrow(files, kind="float64")


def pyarrow_columns(files: Files) -> Callable[[], object]:
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(2)
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(HEADERS, pa.float64()),
        include_columns=["x [nm]", "y [nm]", "frame"],
    )
    return lambda: csv.read_csv(files.source, convert_options=options)


def pyarrow_blocks(files: Files) -> Callable[[], object]:
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(2)
    reading = csv.ReadOptions(block_size=8 << 20)
    options = csv.ConvertOptions(column_types=dict.fromkeys(HEADERS, pa.float32()))

    def run() -> int:
        with csv.open_csv(files.source, read_options=reading, convert_options=options) as reader:
            return sum(batch.num_rows for batch in reader)

    return run


def polars_float32(files: Files) -> Callable[[], object]:
    import importlib

    polars = importlib.import_module("polars")
    schema = dict.fromkeys(HEADERS, polars.Float32)
    return lambda: polars.read_csv(files.source, schema=schema)


CASES = [
    Case(work=READ, who="Locmesh", prepare=read_locmesh, source=SOURCE),
    Case(work=READ, who="pyarrow float32", prepare=pyarrow_float32, source=SOURCE,
         module="pyarrow"),
    Case(work=READ, who="pyarrow float64", prepare=pyarrow_float64, source=SOURCE,
         module="pyarrow"),
    Case(work=READ, who="polars float32", prepare=polars_float32, source=SOURCE, module="polars"),
    Case(work=STREAM, who="Locmesh", prepare=blocks_locmesh, source=SOURCE),
    Case(work=STREAM, who="pyarrow float32", prepare=pyarrow_blocks, source=SOURCE,
         module="pyarrow"),
    Case(work=COLUMNS, who="Locmesh", prepare=columns_locmesh, source=SOURCE),
    Case(work=COLUMNS, who="pyarrow float64", prepare=pyarrow_columns, source=SOURCE,
         module="pyarrow"),
]  # fmt: skip


def make(_name: str, path: Path, rows: int) -> None:
    write_csv(path, rows)


if __name__ == "__main__":
    title = (__doc__ or "").splitlines()[0]
    Contest(__file__, title, cases=CASES, make=make).main()
