from __future__ import annotations

import io

import pytest

import smlmfmt
from smlmfmt.errors import HeaderError, RowError


def test_positions_times_and_traces() -> None:
    bundle = smlmfmt.read(io.BytesIO(b"tid,t,x,y,z\n110,0.5,-308.9,313,-42\n110,0.75,1,2,3\n"))
    table = bundle.tables[0]
    assert bundle.format == "pyminflux"
    assert table.columns == ("tid", "time", "x", "y", "z")
    assert table["x"].tolist() == [-308.9, 1]
    assert table.units == {"tid": "", "time": "s", "x": "nm", "y": "nm", "z": "nm"}
    assert table.source_names["time"] == "t"
    assert bundle.warnings == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"tid,t,x,y\n1,2,3,4\n", "pyminflux"), (b"tid,tim,x,y,z,efo\n", "pyminflux"),
        (b"tid,x,y\n1,2,3\n", "csv"), (b"t,x,y\n1,2,3\n", "csv"), (b"tid,t,a,b\n1,2,3,4\n", None),
    ],
)  # fmt: skip
def test_content_decides(text: bytes, name: str | None) -> None:
    assert smlmfmt.sniff(io.BytesIO(text)) == name


def test_bad_rows() -> None:
    data = b"tid,t,x,y\n1,2,3,4\n1,2,x,4\n"
    with pytest.raises(RowError, match="line 3"):
        smlmfmt.read(io.BytesIO(data))
    bundle = smlmfmt.read(io.BytesIO(data), on_error="skip")
    assert len(bundle.tables[0]) == 1
    assert "1 bad rows" in bundle.warnings[0]
    with pytest.raises(HeaderError, match="each name once"):
        smlmfmt.read(io.BytesIO(b"tid,t,x,y,x\n"), format="pyminflux")
