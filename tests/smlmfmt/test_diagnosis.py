"""What a file is, if it is nothing known: bounded, and guesses that work."""

from __future__ import annotations

import io
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import diagnosis
from smlmfmt.diagnosis import diagnose
from smlmfmt.guessing import FoundColumn, guess_columns


def written(tmp_path: Path, content: bytes | str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(*headers: str | None, value: str = "1.5") -> list[FoundColumn]:
    return [FoundColumn(header=header, values=(value,), is_numeric=True) for header in headers]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (("PosX", "PosY"), {"x": "PosX", "y": "PosY"}),
        (("YC", "XC"), {"x": "XC", "y": "YC"}),
        (("sigmaX", "sigmaY", "xcoord", "ycoord"), {"x": "xcoord", "y": "ycoord"}),
        (("x_err", "y_err", "cx", "cy"), {"x": "cx", "y": "cy"}),
        (("X_PIX_SUB", "Y_PIX_SUB", "Z_PIX_SUB"),
         {"x": "X_PIX_SUB", "y": "Y_PIX_SUB", "z": "Z_PIX_SUB"}),
        (("row", "col", "img"), {"x": "col", "y": "row", "frame": "img"}),
        (("ax", "ay", "Intens.", "Loc. error"),
         {"x": "ax", "y": "ay", "intensity": "Intens.", "uncertainty_xy": "Loc. error"}),
        (("alpha", "beta"), {}),
        (("max", "may"), {}),
        (("PosX", "PosX", "PosY"), {}),
    ],
)  # fmt: skip
def test_names_tell_what_is_where(headers: tuple[str, ...], wanted: dict[str, str]) -> None:
    assert guess_columns(columns(*headers)) == wanted


def test_words_are_no_positions() -> None:
    named = [FoundColumn(header=h, values=("a",), is_numeric=False) for h in ("px", "py")]
    assert guess_columns(named) == {}


def test_without_names_fractions_are_positions() -> None:
    whole, part = columns(None, value="3"), columns(None, value="3.5")
    assert guess_columns([*whole, *part, *part, *part]) == {"x": 1, "y": 2}
    assert guess_columns([*whole, *part]) == {}


def test_only_a_mapping_that_reads_is_proposed(tmp_path: Path) -> None:
    good = diagnose(written(tmp_path, "PosX;PosY\n1,5;2,5\n"))
    assert (good.delimiter, good.mapping) == (";", {"x": "PosX", "y": "PosY"})
    read = smlmfmt.read(tmp_path / "a.csv", columns=good.mapping)
    assert read.tables[0]["y"].tolist() == [2.5]
    bad = diagnose(written(tmp_path, "PosX,PosY\n1,2\n1,2,3\n"))
    assert (len(bad.columns), bad.mapping) == (2, {})


def test_a_known_file_is_known(tmp_path: Path) -> None:
    found = diagnose(written(tmp_path, "x [nm],y [nm]\n1,2\n"))
    assert found.format == "thunderstorm"
    assert [a.format for a in found.attempts if a.fits and a.format == "thunderstorm"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbfa,b\n1,2\n", "text"),
        ("a;b\n1;2\n".encode("utf-16"), "text"),
        (b"Wert \xb5m\n", "text"),
        (b"\x89HDF\r\n\x1a\n", "binary"),
        (b"a,b\n1,2\n\0trailer", "text"),
        (b"\0\0\0\0", "binary"),
    ],
)
def test_text_is_told_from_bytes(tmp_path: Path, content: bytes, kind: str) -> None:
    assert diagnose(written(tmp_path, content)).kind == kind


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(
    st.binary(max_size=4000),
    st.sampled_from([b"PK\3\4", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY\1\0", b"# <localizations ",
                     b"MATLAB 7.3 MAT-file", b"#ASDF 1.0.0\n", b"M425", b"\0" * 12, b"PAR1",
                     b"# DECODE EmitterSet\n", b'{"itr": [']).flatmap(
        lambda start: st.binary(max_size=600).map(lambda rest: start + rest)),
))  # fmt: skip
def test_any_bytes_are_diagnosed(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = written(tmp_path_factory.mktemp("any"), content)
    found = diagnose(path)
    assert found.as_dict()["kind"] == found.kind
    assert found.kind == "empty" or len(found.attempts) == sum(f.reads for f in smlmfmt.formats())


def test_a_huge_file_costs_no_more_than_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.write(b"alpha,beta\n" + b"1,2\n" * 100_000)
        file.truncate(200 << 30)  # Sparse: 200 GiB of zeros.
    tracemalloc.start()
    start = time.process_time()
    found = diagnose(path)
    assert time.process_time() - start < 10
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert [column.header for column in found.columns] == ["alpha", "beta"]


def test_a_reader_gets_no_more_of_a_binary_file_than_it_is_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "BYTES_READ_MAX", 1000)
    path = written(tmp_path, b"\0\1" + b"a" * 100_000)
    assert any("says so" in attempt.reason for attempt in diagnose(path).attempts)
    with path.open("rb") as file:
        part = io.BufferedReader(diagnosis._Part(file, size_max=1000, name="a"), 100)
        assert part.seek(50_000) == part.tell() == 50_000
        assert part.read(900) == b"a" * 900
        with pytest.raises(OSError, match="says so"):
            part.read(900)
