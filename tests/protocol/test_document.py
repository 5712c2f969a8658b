"""docs/protocol.md says what the code does: every limit, reason and field is in it."""

import dataclasses
import re
from pathlib import Path

import pytest

from protocol import beacon, limits, records
from protocol.verdict import Reason

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
LIMITS = {name: value for name, value in vars(limits).items() if name.isupper()}


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_limit_is_documented_with_its_value(name: str) -> None:
    assert f"| {name} | {LIMITS[name]} |" in TEXT


def test_no_limit_is_documented_that_there_is_not() -> None:
    assert set(re.findall(r"^\| ([A-Z_]+) \|", TEXT, re.MULTILINE)) == LIMITS.keys()
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", TEXT)) <= LIMITS.keys()


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_every_reason_is_documented(reason: Reason) -> None:
    assert f"`{reason.value}`" in TEXT


@pytest.mark.parametrize(
    "kind",
    [
        records.Identity,
        records.NodeInfo,
        records.Dataset,
        records.Withdrawal,
        records.Head,
        records.Sample,
        records.File,
        records.TableSummary,
        records.ColumnSummary,
        records.Frames,
        records.Author,
        records.Tag,
        records.Citation,
        records.BlobRef,
        records.Key,
    ],
)
def test_every_field_is_documented(kind: type) -> None:
    grammar = TEXT.partition("## 4. Records")[2].partition("## 5.")[0]
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if not re.search(rf"\b{field.name}\b", grammar)
    ]
    assert not missing


def test_the_service_is_documented() -> None:
    assert beacon.SERVICE_TYPE.removesuffix(".local.") in TEXT
