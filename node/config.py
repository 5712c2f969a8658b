"""The settings of one home, read once at start."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from node.errors import ConfigError, InputError
from node.settings import (
    parse_choices,
    parse_email,
    parse_integer,
    parse_networks,
    parse_one_of,
    parse_port,
    parse_size,
    parse_text,
    parse_url,
    setting,
    toml_value,
)
from protocol import limits

__all__ = ["SETTINGS_FILE", "Config", "default_home"]

SETTINGS_FILE = "node.toml"
ENVIRONMENT_PREFIX = "LOCMESH_"
# Not settings of a node: where its home is, and what the tests and the tools of a machine set.
_NOT_SETTINGS = frozenset({"HOME"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of a node. `node.toml` sets them; `LOCMESH_<NAME>` overrides."""

    home: Path
    name: str = setting(
        "", "What this node is called on its pages and by its peers.", parse=parse_text
    )
    institution: str = setting("", "The institution that runs this node.", parse=parse_text)
    contact: str = setting(
        "", "E-mail address for questions; new datasets take it as theirs.", parse=parse_email
    )
    author: str = setting(
        "",
        "Author of new datasets that name none: `Name; Affiliation; ORCID`.",
        parse=parse_text,
    )
    license: str = setting(
        "", "Licence of new datasets that name none, as an SPDX id.", parse=parse_text
    )
    host: str = setting(
        "127.0.0.1",
        "Address to listen on. 127.0.0.1 is this machine alone; 0.0.0.0 is every network it is on.",
        parse=parse_text,
    )
    port: int = setting(8750, "TCP port to listen on; 0 takes a free one.", parse=parse_port)
    public_url: str = setting(
        "", "The address under which others reach this node, if it has one.", parse=parse_url
    )
    trust: str = setting(
        "known",
        "Whose offers are taken: `known` peers that someone approved, or `open` for everybody.",
        parse=parse_one_of("known", "open"),
    )
    discovery: tuple[str, ...] = setting(
        ("mdns", "exchange"),
        "How nodes are found: `mdns` on the local network, `exchange` from peers.",
        parse=parse_choices("mdns", "exchange"),
    )
    exchange_networks: tuple[str, ...] = setting(
        (),
        "Private networks in which addresses told by peers may lie, beside public ones.",
        parse=parse_networks,
    )
    proxy: str = setting(
        "",
        "HTTP proxy for requests to other nodes; neighbours found by mdns are called directly.",
        parse=parse_url,
    )
    storage: str = setting(
        "directory",
        "Where blobs are kept: `directory`, in the home.",
        parse=parse_one_of("directory"),
    )
    quota_bytes: int = setting(
        0, "Most bytes that blobs may take; 0 is no limit but the disk's.", parse=parse_size
    )
    reserve_bytes: int = setting(
        1_000_000_000, "Bytes to leave free on the disk; mirroring pauses before.", parse=parse_size
    )
    workers: int = setting(
        0,
        "Processes that read files at once; 0 is one per core, four at most.",
        parse=parse_integer,
    )
    publisher_records_max: int = setting(
        limits.PUBLISHER_RECORDS_MAX, "Most records kept of one publisher.", parse=parse_integer
    )
    publisher_bytes_max: int = setting(
        limits.PUBLISHER_BYTES_MAX, "Most bytes of records kept of one publisher.", parse=parse_size
    )
    log_level: str = setting(
        "info",
        "How much is logged: `debug`, `info`, `warning` or `error`.",
        parse=parse_one_of("debug", "info", "warning", "error"),
    )

    @classmethod
    def load(cls, home: Path, environ: Mapping[str, str] | None = None) -> Config:
        """Read the home's node.toml, if there is one, then the environment.

        Raises:
            ConfigError: The file is no TOML, or a setting is unknown or has an unusable value.
        """
        path = home / SETTINGS_FILE
        given: dict[str, object] = {}
        if path.exists():
            try:
                given = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise ConfigError(f"{path}: {error}") from error
        values = {name: cls._parse(name, value, str(path)) for name, value in given.items()}
        for key, text in (os.environ if environ is None else environ).items():
            name = key.removeprefix(ENVIRONMENT_PREFIX)
            if name != key and name not in _NOT_SETTINGS and name.lower() in cls.names():
                values[name.lower()] = cls._parse(name.lower(), text, f"environment, {key}")
        return cls(home=home, **values)  # type: ignore[arg-type]  # Each was parsed as its field.

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return tuple(field.name for field in dataclasses.fields(cls) if field.metadata)

    def with_settings(self, **changes: object) -> Config:
        """Return a copy with these settings, parsed as the file's would be; None changes nothing.

        Raises:
            ConfigError: One is unknown or has an unusable value.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        parsed = {name: self._parse(name, value, "options") for name, value in given.items()}
        return dataclasses.replace(self, **parsed)  # type: ignore[arg-type]  # As above.

    def settings(self) -> list[dict[str, object]]:
        """Return name, value, default and explanation of every setting, for people."""
        return [
            {
                "name": field.name,
                "value": getattr(self, field.name),
                "default": field.default,
                "explanation": field.metadata["explanation"],
            }
            for field in dataclasses.fields(self)
            if field.metadata
        ]

    def to_toml(self) -> str:
        """Return node.toml: what differs from the defaults is set, all else a comment."""
        lines = [
            "# Settings of this Locmesh node. LOCMESH_<NAME> in the environment overrides.",
            "",
        ]
        for row in self.settings():
            is_set = row["value"] != row["default"] or row["name"] in {
                "name",
                "institution",
                "contact",
            }
            mark = "" if is_set else "# "
            lines += [
                f"# {row['explanation']}",
                f"{mark}{row['name']} = {toml_value(row['value'])}",
                "",
            ]
        return "\n".join(lines)

    @property
    def worker_count(self) -> int:
        """How many processes read files at once."""
        return self.workers or max(1, min(4, os.cpu_count() or 1))

    @classmethod
    def _parse(cls, name: str, value: object, source: str) -> object:
        for field in dataclasses.fields(cls):
            if field.name == name and field.metadata:
                try:
                    return field.metadata["parse"](value)
                except InputError as error:
                    raise ConfigError(f"{source}: setting {name} {error}") from error
        close = difflib.get_close_matches(name, cls.names(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"{source}: there is no setting {name!r}{hint}")


def default_home(environ: Mapping[str, str] | None = None) -> Path:
    """Return the home that is used when none is named: LOCMESH_HOME or the user's data folder."""
    named = (os.environ if environ is None else environ).get("LOCMESH_HOME", "")
    return (
        Path(named).expanduser()
        if named
        else platformdirs.user_data_path("locmesh", appauthor=False)
    )
