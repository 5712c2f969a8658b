"""serve: run the node."""

from __future__ import annotations

import asyncio
import json
import webbrowser
from pathlib import Path

import click

from node.cli.terminal import json_option, plain
from node.config import Config
from node.logs import log_to_file, log_to_terminal
from node.service import Ready, serve

__all__ = ["serve_command"]

LOG_FILE = Path("logs") / "node.log"


@click.command("serve")
@click.option("--host", metavar="H", help="Address to listen on; 0.0.0.0 for all networks.")
@click.option("--port", type=click.IntRange(0, 65_535), metavar="P", help="0 takes a free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open a browser, signed in.")
@json_option
@click.pass_obj
def serve_command(
    home: Path, *, host: str | None, port: int | None, open_browser: bool, as_json: bool
) -> None:
    """Run the node until Ctrl-C: web pages, sync with peers, mirrors.

    With --json, one line says when it accepts requests.

    \b
    Example:
      locmesh serve
      locmesh serve --host 0.0.0.0 --port 8750
    """  # noqa: D301
    config = Config.load(home).with_settings(host=host, port=port)
    if home.is_dir():
        log_to_file(home / LOG_FILE, level=config.log_level)
    log_to_terminal(level=config.log_level if as_json else "warning")

    def announce(ready: Ready) -> None:
        if as_json:
            line = {
                "event": "ready",
                "url": ready.url,
                "login_url": ready.login_url,
                "publisher": ready.publisher,
            }
            click.echo(json.dumps(line))
        else:
            click.echo(plain(f"{config.name or 'Locmesh'} is running at {ready.url}"))
            click.echo(f"Sign in (works once, within a day): {ready.login_url}")
            click.echo("Stop with Ctrl-C.")
        if open_browser:
            webbrowser.open(ready.login_url)

    asyncio.run(serve(config, on_ready=announce))
