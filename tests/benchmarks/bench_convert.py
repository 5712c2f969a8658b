# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Convert ThunderSTORM csv to .smlm and back, block by block, beside what people script today.

    python -m tests.benchmarks.bench_convert [--rows 5000000 47800000] [--data DIR] [--json FILE]
                                             [--peer-python PYTHON]

There is no program beside the ShareLoc app that converts csv to .smlm; the script beside ours reads
with pyarrow and writes with zipfile at zlib's level 6. shareloc-utils converts .smlm to csv cell by
cell with three decimals; it is measured on fewer rows and scaled up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.contest import Case, Contest, Files
from tests.benchmarks.localizations import (
    COLUMNS,
    HEADERS,
    columns,
    write_csv,
    write_foreign,
)

TO_SMLM, TO_CSV = "csv to .smlm", ".smlm to csv"
CSV, SMLM = "thunderstorm.csv", "own.smlm"
SHARELOC_ROWS = 200_000


def csv_to_smlm(files: Files) -> Callable[[], object]:
    import pyarrow.csv  # noqa: F401 - as the peer's case, the import is not measured.

    import smlmfmt

    return lambda: smlmfmt.convert(files.source, files.target, format="smlm")


def smlm_to_csv(files: Files) -> Callable[[], object]:
    import smlmfmt

    return lambda: smlmfmt.convert(files.source, files.target, format="thunderstorm")


def csv_to_smlm_script(files: Files) -> Callable[[], object]:
    import pyarrow as pa
    from pyarrow import csv

    pa.set_cpu_count(2)
    options = csv.ConvertOptions(column_types=dict.fromkeys(HEADERS, pa.float32()))

    def run() -> None:
        table = csv.read_csv(files.source, convert_options=options)
        batches = table.to_batches(max_chunksize=1_000_000)
        parts = (
            dict(zip(COLUMNS, (column.to_numpy() for column in batch.columns), strict=True))
            for batch in batches
        )
        write_foreign(files.target, parts, table.num_rows)

    return run


def smlm_to_csv_shareloc(files: Files) -> Callable[[], object]:
    from shareloc_utils.batch_download import convert_smlm

    # It writes beside what it reads.
    beside = files.target.with_suffix(".smlm")
    beside.unlink(missing_ok=True)
    beside.symlink_to(files.source.resolve())

    def run() -> None:
        (written,) = convert_smlm(str(beside))
        Path(written).rename(files.target)

    return run


CASES = [
    Case(work=TO_SMLM, who="Locmesh", prepare=csv_to_smlm, source=CSV),
    Case(work=TO_SMLM, who="pyarrow and zipfile", prepare=csv_to_smlm_script, source=CSV,
         module="pyarrow"),
    Case(work=TO_CSV, who="Locmesh", prepare=smlm_to_csv, source=SMLM),
    Case(work=TO_CSV, who="shareloc-utils", prepare=smlm_to_csv_shareloc, source=SMLM,
         module="shareloc_utils", rows_max=SHARELOC_ROWS),
]  # fmt: skip


def make(name: str, path: Path, rows: int) -> None:
    if name == CSV:
        write_csv(path, rows)
        return
    import smlmfmt

    smlmfmt.write(path, smlmfmt.LocTable(columns(rows), name="bench"))


if __name__ == "__main__":
    title = (__doc__ or "").splitlines()[0]
    Contest(__file__, title, cases=CASES, make=make).main()
