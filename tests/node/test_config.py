"""Settings: the file, the environment, and what is said about a wrong one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import Config, default_home
from node.errors import ConfigError
from node.settings import parse_size, toml_value


def load(tmp_path: Path, text: str = "", **environ: str) -> Config:
    (tmp_path / "node.toml").write_text(text, encoding="utf-8")
    return Config.load(tmp_path, environ)


def test_defaults_hold_without_a_file(tmp_path: Path) -> None:
    config = Config.load(tmp_path, {})
    assert (config.host, config.port, config.trust) == ("127.0.0.1", 8750, "known")
    assert config.discovery == ("mdns", "exchange")
    assert config.worker_count >= 1


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, "port = 9000\nname = 'Lab'", LOCMESH_PORT="9001", LOCMESH_DISCOVERY="")
    assert (config.port, config.name, config.discovery) == (9001, "Lab", ())


def test_a_home_in_the_environment_is_no_setting(tmp_path: Path) -> None:
    assert load(tmp_path, LOCMESH_HOME="/elsewhere").home == tmp_path
    assert default_home({"LOCMESH_HOME": str(tmp_path)}) == tmp_path
    assert default_home({}).name == "locmesh"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 8750", "did you mean port?"),
        ("port = 70000", "at most 65535"),
        ("port = true", "whole number"),
        ("trust = 'anybody'", "known, open"),
        ("discovery = ['carrier pigeon']", "mdns, exchange"),
        ("exchange_networks = ['10.1.0.0/99']", "10.1.0.0/16"),
        ("public_url = 'smlm.example.org'", "https://"),
        ("quota_bytes = '2 loads'", "500GB"),
        ("contact = 'nobody'", "e-mail"),
        ("name = 'two\\nlines'", "one line"),
        ("port = ", "node.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"node\.toml") as caught:
        load(tmp_path, text.replace("'", '"'))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("500GB", 500 * 10**9), ("2 TiB", 2 << 40), ("1.5kB", 1500), ("12", 12), ("0", 0)],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = Config.load(tmp_path, {}).with_settings(
        name='The "STORM" lab \\ µm', port=0, quota_bytes="1TB", discovery=["mdns"]
    )
    (tmp_path / "node.toml").write_text(config.to_toml(), encoding="utf-8")
    assert Config.load(tmp_path, {}) == config


def test_every_setting_is_explained_and_written(tmp_path: Path) -> None:
    config = Config.load(tmp_path, {})
    for row in config.settings():
        assert row["explanation"]
        assert f"{row['name']} = " in config.to_toml()


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=80))
def test_any_text_survives_toml(text: str) -> None:
    # DEL may not stand in TOML; no setting may hold it either.
    if "\x7f" not in text:
        assert tomllib.loads(f"value = {toml_value(text)}")["value"] == text
