"""The environment in which pages are rendered: filters, site facts, strict and autoescaping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from node.web import quantities
from node.web.assets import Assets

__all__ = ["THEMES", "Layout", "Site", "Visit"]

FOLDER = Path(__file__).parent / "templates"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every page says about the node that serves it."""

    title: str
    institution: str
    contact: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a page depends on beside its subject: who reads it, where, and in which colours."""

    path: str
    theme: str = ""
    is_signed_in: bool = False


class Layout:
    """Renders templates; every value that is not markup is escaped, every name must exist."""

    def __init__(
        self, site: Site, assets: Assets, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "bound": quantities.format_bound,
            "count": quantities.format_count,
            "date": quantities.format_date,
            "exact": quantities.format_exact,
            "iso": quantities.format_iso,
            "moment": self._moment,
            "short": quantities.shorten,
            "size": quantities.format_size,
        }
        self._environment.globals |= {"site": site, "static": assets.address}

    def render(
        self, template: str, values: Mapping[str, Any], *, visit: Visit, place: str = ""
    ) -> str:
        """Return a page; `place` is the entry of the navigation that it belongs to."""
        return self._environment.get_template(template).render(
            {
                "here": visit.path,
                "place": place,
                "signed_in": visit.is_signed_in,
                "theme": visit.theme,
                **values,
            }
        )

    def _moment(self, moment_s: float | None) -> str:
        return quantities.format_moment(moment_s, self._clock())
