"""How one setting is written, read and explained; the settings themselves are in config.py."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from node.errors import ConfigError, InputError

__all__ = [
    "parse_choices",
    "parse_email",
    "parse_integer",
    "parse_networks",
    "parse_one_of",
    "parse_port",
    "parse_size",
    "parse_text",
    "parse_url",
    "setting",
    "toml_value",
]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?i?b?)\s*", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,190}")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
TEXT_LENGTH_MAX = 500


def setting(default: Any, explanation: str, *, parse: Callable[[object], Any]) -> Any:
    """Return a dataclass field that knows how it is read and what it is for."""
    return dataclasses.field(default=default, metadata={"parse": parse, "explanation": explanation})


def parse_text(value: object) -> str:
    """Return one line of text.

    Raises:
        InputError: It is no text, too long, or holds line breaks.
    """
    if not isinstance(value, str):
        raise InputError(f"wants text in quotes, got {value!r}")
    text = value.strip()
    if len(text) > TEXT_LENGTH_MAX or any(ord(letter) < 32 for letter in text):
        raise InputError(f"wants one line of at most {TEXT_LENGTH_MAX} characters")
    return text


def parse_email(value: object) -> str:
    """Return an e-mail address, or "".

    Raises:
        InputError: It is no address.
    """
    text = parse_text(value)
    if text and not _EMAIL.fullmatch(text):
        raise InputError(f"wants an e-mail address, got {text!r}")
    return text


def parse_integer(value: object) -> int:
    """Return a whole number that is not negative.

    Raises:
        InputError: It is not one.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if type(value) is not int or value < 0:
        raise InputError(f"wants a whole number that is not negative, got {value!r}")
    return value


def parse_port(value: object) -> int:
    """Return a TCP port, 0 for any free one.

    Raises:
        InputError: It is over 65535 or no whole number.
    """
    port = parse_integer(value)
    if port > 65_535:
        raise InputError(f"wants a port of at most 65535, got {port}")
    return port


def parse_size(value: object) -> int:
    """Return bytes from a whole number or from text such as `500GB`, `1.5 TiB`.

    Raises:
        InputError: It is neither.
    """
    if type(value) is int and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InputError(f"wants a size such as 500GB or 2TiB, got {value!r}")
    unit = match[2].lower()
    step = 1024.0 if "i" in unit else 1000.0
    return round(float(match[1]) * step ** _POWERS[unit.rstrip("b").rstrip("i")])


def parse_url(value: object) -> str:
    """Return an http or https address without its closing slash, or "".

    Raises:
        InputError: It is another kind of address, or carries a query or a fragment.
    """
    text = parse_text(value).rstrip("/")
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"wants an address such as https://smlm.example.org, got {text!r}")
    return text


def parse_networks(value: object) -> tuple[str, ...]:
    """Return networks in CIDR notation.

    Raises:
        InputError: One of them is not a network.
    """
    networks = _words(value)
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise InputError(f"wants networks such as 10.1.0.0/16: {error}") from error
    return networks


def parse_one_of(*choices: str) -> Callable[[object], str]:
    """Return a parser that takes exactly one of these words."""

    def parse(value: object) -> str:
        if value not in choices:
            raise InputError(f"wants one of {', '.join(choices)}, got {value!r}")
        return str(value)

    return parse


def parse_choices(*choices: str) -> Callable[[object], tuple[str, ...]]:
    """Return a parser that takes any of these words, or none."""

    def parse(value: object) -> tuple[str, ...]:
        words = _words(value)
        for word in words:
            if word not in choices:
                raise InputError(f"wants a list of {', '.join(choices)}, got {word!r}")
        return words

    return parse


def toml_value(value: object) -> str:
    """Return a setting's value as TOML writes it.

    Raises:
        ConfigError: A text holds a character that no setting may hold.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    text = str(value)
    if any(ord(letter) < 32 for letter in text):
        raise ConfigError(f"{text!r} holds a line break or control character")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):  # As an environment variable writes a list.
        value = value.replace(",", " ").split()
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise InputError(f"wants a list of words, got {value!r}")
    return tuple(value)
