"""Which files become which sample."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.errors import InputError
from node.ingest.selection import Selection, select
from protocol import limits


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def shape(selection: Selection) -> dict[str, list[str]]:
    return {sample.name: [file.name for file in sample.files] for sample in selection.samples}


def test_sub_folders_are_samples_and_deeper_files_keep_their_way(tmp_path: Path) -> None:
    root = make(tmp_path / "e", "cell1/a.csv", "cell1/raw/m.tif", "cell2/a.csv")
    assert shape(select([root])) == {"cell1": ["a.csv", "raw-m.tif"], "cell2": ["a.csv"]}


def test_files_that_share_a_name_are_one_sample(tmp_path: Path) -> None:
    root = make(tmp_path, "cell1.csv", "cell1.tif", "cell2.csv")
    assert shape(select([root])) == {"cell1": ["cell1.csv", "cell1.tif"], "cell2": ["cell2.csv"]}
    assert shape(select([root / "cell1.csv"])) == {"cell1": ["cell1.csv"]}


def test_hidden_system_and_empty_files_are_left_out_with_a_word(tmp_path: Path) -> None:
    root = make(
        tmp_path, "a.csv", ".DS_Store", "Thumbs.db", "__MACOSX/x", "~$a.docx", ".git/config"
    )
    (root / "empty.csv").touch()
    selection = select([root])
    assert shape(selection) == {"a": ["a.csv"]}
    assert len(selection.skipped) == 6


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    root = make(tmp_path / "e", "a.csv")
    (root / "loop").symlink_to(root)
    (root / "secret.csv").symlink_to(make(tmp_path, "secret.csv") / "secret.csv")
    selection = select([root])
    assert shape(selection) == {"a": ["a.csv"]}
    assert len(selection.skipped) == 2


def test_the_same_file_twice_is_one_file(tmp_path: Path) -> None:
    root = make(tmp_path, "a.csv")
    assert shape(select([root / "a.csv", root / "a.csv"])) == {"a": ["a.csv"]}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path, "x/a.csv", "y/a.csv")
    with pytest.raises(InputError, match="two files"):
        select([root / "x" / "a.csv", root / "y" / "a.csv"])


def test_nothing_to_add_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="no files to add"):
        select([tmp_path])
    with pytest.raises(InputError, match="empty"):
        select([tmp_path / "empty.csv"])


def test_more_than_a_record_describes_is_refused_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SAMPLES_MAX", 3)
    monkeypatch.setattr(limits, "FILES_MAX", 4)
    names = [f"cell{number}/a.csv" for number in range(4)]
    with pytest.raises(InputError, match="at most 3 samples"):
        select([make(tmp_path / "samples", *names)])
    names = [f"cell/{number}.csv" for number in range(5)]
    with pytest.raises(InputError, match="more than 4 files"):
        select([make(tmp_path / "files", *names)])


def test_names_are_made_plain_for_files_and_samples(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("there are no such names")
    root = make(tmp_path / "e", "a\nb/c\x1b.csv", " /x.csv", "back\\slash.csv")
    assert shape(select([root])) == {
        "_": ["x.csv"],
        "a_b": ["c_.csv"],
        "back_slash": ["back_slash.csv"],
    }
