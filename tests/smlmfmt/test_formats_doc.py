"""docs/formats.md names every format, column, limit and error."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from smlmfmt import (
    asdf,
    columns,
    decode,
    documents,
    errors,
    insight3,
    locan,
    matlab,
    minflux,
    npy,
    nstorm,
    parquet,
    rapidstorm,
    rapidstorm_tracks,
    text,
    text_labels,
)
from smlmfmt.hdf5 import describe, layout, process
from smlmfmt.hdf5 import file as hdf5_file
from smlmfmt.minflux import load
from smlmfmt.smlm import archive, file, images, manifest, tables
from smlmfmt.tsf import spot_list, spots
from tests.smlmfmt.from_registry import block, overview

DOC = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
MODULES = (
    *(archive, manifest, tables, images, file, text, decode, documents),
    *(describe, layout, process, hdf5_file, text_labels, rapidstorm, rapidstorm_tracks),
    *(asdf, insight3, locan, matlab, minflux, load, npy, parquet, spots, spot_list),
)
# Limits that a module takes from another, under which they are documented.
IMPORTED = ((file, "MANIFEST_SIZE_MAX"), (rapidstorm, "LINE_SIZE_MAX"))
LIMITS = [
    (module, name)
    for module in MODULES
    for name in vars(module)
    if name.endswith("_MAX") and not name.startswith("_") and name != "FLOAT32_WHOLE_MAX"
]


@pytest.mark.parametrize("word", [*columns.ALIASES, *errors.__all__])
def test_columns_and_errors_are_named(word: str) -> None:
    assert f"`{word}`" in DOC


def test_the_overview_is_what_the_registry_says() -> None:
    assert block(DOC, "overview") == overview(), "run python -m tests.smlmfmt.from_registry"


@pytest.mark.parametrize(("module", "name"), LIMITS, ids=str)
def test_limits_are_named(module: ModuleType, name: str) -> None:
    prefix = module.__name__.removeprefix("smlmfmt.")
    assert f"`{prefix}.{name}`" in DOC or (module, name) in IMPORTED


@pytest.mark.parametrize("variant", nstorm.FORMAT.info.variants)
def test_variants_are_named(variant: str) -> None:
    assert f"| `{variant}` " in DOC
