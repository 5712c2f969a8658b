"""init: make a home."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from node.app import Node, create_home
from node.cli.description import starting_metadata
from node.cli.terminal import json_option, plain, print_json
from node.config import SETTINGS_FILE, Config
from node.publishing.keyring import Keyring

__all__ = ["init_command"]


@click.command("init")
@click.option("--name", metavar="N", help="What the node is called, as in 'Super-resolution lab'.")
@click.option("--institution", metavar="I", help="The institution that runs it.")
@click.option("--contact", metavar="EMAIL", help="Where questions about the data go.")
@click.option("--author", metavar="A", help="Author of new datasets: 'Name; Affiliation; ORCID'.")
@click.option("--license", metavar="L", help="Licence of new datasets, as in CC-BY-4.0.")
@json_option
@click.pass_obj
def init_command(home: Path, /, *, as_json: bool, **settings: str | None) -> None:
    """Make the home of a new node: settings, keys, database.

    \b
    Example:
      locmesh init --name "Super-resolution lab" --institution "Institut X" \\
          --contact data@x.example
    """  # noqa: D301
    # What the environment sets counts for now and is not written down.
    config = Config.load(home, {}).with_settings(**settings)
    starting_metadata(config)
    keyring = asyncio.run(_create(config))
    if as_json:
        print_json(
            {
                "publisher": keyring.publisher,
                "home": str(home),
                "settings": str(home / SETTINGS_FILE),
                "recovery_key": str(keyring.recovery_path),
            }
        )
        return
    click.echo(plain(f"Made the home of {config.name or 'a new node'} in {home}"))
    click.echo(f"\nPublisher id   {keyring.publisher}")
    click.echo(f"Recovery key   {keyring.recovery_path}")
    click.echo(
        "\nMove the recovery key to a place that is not this machine, such as a USB stick in a\n"
        "safe, with a copy. It is the only way to keep your publisher id if this machine is lost\n"
        "or broken into. Nothing here needs it day by day."
    )
    click.echo("\nNext: locmesh serve")


async def _create(config: Config) -> Keyring:
    keyring = await create_home(config)
    async with Node(Config.load(config.home)) as node:
        urls = (node.config.public_url,) if node.config.public_url else ()
        await node.publishing.publish_node_info(urls)
    return keyring
