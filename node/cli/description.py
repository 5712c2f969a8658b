"""The options by which people describe a dataset, shared by add and edit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from node.config import Config
from node.errors import InputError
from node.publishing.metadata import VISIBILITIES, Metadata, parse_metadata, read_metadata

__all__ = ["description_options", "starting_metadata"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--meta",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="YAML or JSON file with these fields and more: documentation, citation, samples ...",
    ),
    click.option("--name", metavar="TEXT", help="Title of the dataset."),
    click.option("--description", metavar="TEXT", help="What it is, in a sentence or two."),
    click.option(
        "--author",
        "authors",
        multiple=True,
        metavar="A",
        help="'Name; Affiliation; ORCID', the last two if you like. Repeatable.",
    ),
    click.option("--uploaded-by", metavar="NAME", help="Who adds the dataset."),
    click.option("--contact", metavar="EMAIL", help="Where questions go."),
    click.option("--license", metavar="L", help="SPDX id, as in CC-BY-4.0 or CC0-1.0."),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="CATEGORY:TERM",
        help="As in modality:dstorm, structure:microtubules, cell-line:u2os. Repeatable.",
    ),
    click.option("--doi", metavar="DOI", help="The dataset's own DOI, if it has one."),
    click.option("--funding", metavar="TEXT", help="Who paid for the work."),
    click.option("--link", "links", multiple=True, metavar="URL", help="Repeatable."),
    click.option(
        "--visibility",
        type=click.Choice(VISIBILITIES),
        help="Who may see it; fixed once published. [default: public]",
    ),
)


_FIELDS = (
    "name",
    "description",
    "authors",
    "uploaded_by",
    "contact",
    "license",
    "tags",
    "doi",
    "funding",
    "links",
    "visibility",
)


def description_options(function: F) -> F:
    """Add the options, passed on as `changes`: the checked fields that were given.

    An option wins over the same field of the --meta file.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        meta = kwargs.pop("meta")
        given = {name: kwargs.pop(name) for name in _FIELDS}
        options = {name: value for name, value in given.items() if value not in (None, ())}
        changes = {} if meta is None else read_metadata(meta)
        changes |= parse_metadata(options)
        return function(*args, changes=changes, **kwargs)

    decorated: Any = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast("F", decorated)


def starting_metadata(config: Config) -> Metadata:
    """Return what the home's settings say about every dataset added here.

    Raises:
        InputError: The setting `author` or `license` breaks a rule.
    """
    settings = {"contact": config.contact, "license": config.license, "authors": config.author}
    try:
        return Metadata().changed(parse_metadata({k: v for k, v in settings.items() if v}))
    except InputError as error:
        raise InputError(f"in the settings of {config.home}: {error}") from error
