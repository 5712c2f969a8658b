from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

import smlmfmt
from smlmfmt import FormatError, LocTable, registry
from smlmfmt.known_formats import FORMATS
from tests.smlmfmt.archives import pack


def test_formats_are_listed() -> None:
    infos = {info.name: info for info in smlmfmt.formats()}
    assert {"smlm", "thunderstorm", "thunderstorm-xls", "csv"} <= infos.keys()
    assert infos["smlm"].suffixes == (".smlm",)
    assert infos["smlm"].reads
    assert infos["smlm"].writes
    assert infos["csv"].writes
    assert not infos["nstorm"].writes
    assert list(infos)[-1] == "csv"
    assert all(smlmfmt.media_type(name).count("/") == 1 for name in infos)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (pack(), "smlm"), (pack(name="a/manifest.json"), "smlm"), (pack(name="other.json"), None),
        (pack()[:-5], "smlm"), (b'"x [nm]","y [nm]"\n1,2\n', "thunderstorm"),
        (b"x [nm]\ty [nm]\n1\t2\n", "thunderstorm-xls"), (b"x,y\n1,2\n", "csv"),
        (b"Position X [nm],Position Y [nm]\n1,2\n", "csv"), (b"", None), (b"\0" * 100, None),
        (b"\x89HDF\r\n\x1a\n", None), (b"PK\3\4", None), (bytes(range(256)), None),
    ],
)  # fmt: skip
def test_content_alone_decides(data: bytes, name: str | None, tmp_path: Path) -> None:
    path = tmp_path / "some.dat"
    path.write_bytes(data)
    assert smlmfmt.sniff(path) == smlmfmt.sniff(str(path)) == name
    assert smlmfmt.sniff(io.BytesIO(data)) == name


def test_unknown_formats_and_suffixes(tmp_path: Path) -> None:
    table = LocTable({"x": [1.0], "y": [1.0]})
    path = tmp_path / "a.csv"
    smlmfmt.write(path, table)
    with pytest.raises(FormatError, match="'nope'"):
        smlmfmt.read(path, format="nope")
    with pytest.raises(FormatError, match="'nope'"):
        smlmfmt.media_type("nope")
    with pytest.raises(FormatError, match=r"'\.nope'"):
        smlmfmt.write(tmp_path / "a.nope", table)
    with pytest.raises(FormatError, match="not written"):
        smlmfmt.write(tmp_path / "b.csv", table, format="nstorm")
    with pytest.raises(FormatError, match="on_error"):
        smlmfmt.read(path, on_error="ignore")  # type: ignore[arg-type]
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        smlmfmt.read(tmp_path / "gone.smlm")
    with pytest.raises(OSError, match="gone"):
        smlmfmt.write(tmp_path / "gone" / "a.smlm", LocTable({"x": [1.0], "y": [1.0]}))


def test_format_by_name_wins_over_the_suffix(tmp_path: Path) -> None:
    table = LocTable({"x": [1.0], "y": [1.0]})
    smlmfmt.write(tmp_path / "a.dat", table, format="smlm")
    assert smlmfmt.read(tmp_path / "a.dat").format == "smlm"


def test_open_files_stay_open_and_pipes_are_read_through(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    smlmfmt.write(path, LocTable({"x": [1.0], "y": [2.0]}))
    with path.open("rb") as file:
        assert len(smlmfmt.read(file).tables[0]) == 1
        assert not file.closed

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert smlmfmt.read(Pipe(path.read_bytes())).tables[0]["y"].tolist() == [2]


def test_a_warning_names_what_the_file_is() -> None:
    with pytest.raises(FormatError, match="columns="):
        smlmfmt.read(io.BytesIO(b"hello"))


def test_an_open_file_on_disk_knows_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x [nm],y [nm]\n1,2\n")
    with path.open("rb") as file:
        assert registry._path(file) == path
    assert registry._path(io.BytesIO()) is None


def test_an_import_brings_no_reader_and_nothing_heavy() -> None:
    code = "import sys, smlmfmt; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"PIL", "h5py", "isal", "multiprocessing", "numba", "pyarrow", "xml", "yaml", "zipfile"}
    readers = {f"smlmfmt.{module}" for module in ("delimited", "minflux", "picasso", "smlm")}
    assert not (heavy | readers) & set(found)
    assert "smlmfmt.registry" in found


def test_a_format_is_imported_under_its_own_name() -> None:
    assert [item.name for item in smlmfmt.formats()] == list(FORMATS)
    assert all(FORMATS[name].info.name == name for name in FORMATS)
    assert "csv" in FORMATS
    assert "nonsense" not in FORMATS
