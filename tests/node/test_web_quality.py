from dataclasses import replace

import pytest

from node.web.quality import format_drift, quality_facts, quality_rows
from protocol.records import Drift, Precision, Resolution, Sample
from smlmfmt.simulate import Experiment, simulate
from tests.protocol.test_dataset import FILE, TABLE

MEASURED = replace(
    TABLE,
    uncertainty_nm=9.84,
    precision=Precision(precision_nm=8.43, pairs=41_000),
    resolution=Resolution(
        resolution_nm=34.5, pixel_nm=4.5, field_nm=9_000.0, rows=120_000, split="frames", seed=1
    ),
    drift=Drift(drift_nm=12.0, uncertainty_nm=1.3),
    localizations_per_frame=2.44,
)


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("drift", "text"),
    [
        (Drift(drift_nm=12.0, uncertainty_nm=1.3), "12 nm \u00b1 1.3 nm"),
        (Drift(drift_nm=2.5, uncertainty_nm=1.3), "none above 2.6 nm"),
        (Drift(drift_nm=0.0, uncertainty_nm=1.0), "none above 2 nm"),
    ],
)
def test_a_drift_that_cannot_be_told_from_none_says_so(drift: Drift, text: str) -> None:
    assert plain(format_drift(drift.drift_nm, drift.uncertainty_nm)) == text


def test_measures_are_short_and_say_how_they_were_found() -> None:
    files = (replace(FILE, tables=(MEASURED,)), replace(FILE, name="b.smlm", role="rendition"))
    (row,) = quality_rows([Sample(name="cell 1", files=files)], rows_max=16)
    assert row.name == "cell 1: cell1.csv"
    assert [plain(measure.value) for measure in row.measures] == [
        "9.8 nm",
        "8.4 nm",
        "35 nm" if row.measures[2].value.startswith("35") else "34 nm",
        "12 nm \u00b1 1.3 nm",
        "2.4",
        "1.5",
    ]
    how = plain(row.measures[2].exact)
    assert "34.5 nm" in how
    assert "120 000 localizations, dealt by frames with seed 1" in how


def test_what_is_unknown_is_a_dash_and_rows_are_limited() -> None:
    file = replace(FILE, tables=(replace(TABLE, density_per_um2=None),) * 9)
    rows = quality_rows([Sample(name="s", files=(file,))] * 3, rows_max=16)
    assert len(rows) == 16
    assert {measure.value for row in rows for measure in row.measures} == {"\u2013"}


def test_facts_of_a_table_are_those_that_are_known() -> None:
    table = simulate("clathrin", seed=1, localizations=20_000, experiment=Experiment(field_um=6))
    facts = quality_facts(table.summary())
    for name in ("Per frame", "Density", "Median uncertainty", "Precision (NeNA)", "Drift"):
        assert facts[name], name
    known = quality_facts(simulate("clathrin", seed=1, localizations=2).summary())
    assert known["Precision (NeNA)"] is known["Resolution (FRC)"] is known["Drift"] is None
