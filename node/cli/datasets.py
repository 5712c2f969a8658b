"""edit, publish, withdraw: the life of a dataset."""

from __future__ import annotations

from pathlib import Path

import click

from node.app import Node
from node.cli.description import description_options
from node.cli.session import run_on_home
from node.cli.terminal import json_option, plain, print_json
from node.errors import InputError, NotFoundError
from node.publishing.drafts import Draft
from node.publishing.publishing import Published

__all__ = ["discard_command", "edit_command", "publish_command", "withdraw_command"]


@click.command("edit")
@click.argument("ref", metavar="ID")
@description_options
@json_option
@click.pass_obj
def edit_command(home: Path, *, ref: str, changes: dict[str, object], as_json: bool) -> None:
    """Change what is said about a draft, or begin the next revision of a published dataset.

    A field that is given replaces the old one; a null in the --meta file clears it.

    \b
    Example:
      locmesh edit 3fa9c21b --meta experiment.yaml
      locmesh edit 3fa9c21b --tag modality:dstorm --tag cell-line:u2os
    """  # noqa: D301
    if not changes:
        raise click.UsageError("Say what to change: --meta FILE, --name, --tag ...")

    async def work(node: Node) -> Draft:
        draft = await _draft_for(node, ref)
        _check_changes(draft, changes)
        return await node.drafts.change(draft.id, lambda said: said.changed(changes))

    draft = run_on_home(home, work)
    if as_json:
        print_json(
            {
                "draft": draft.id,
                "dataset": draft.dataset,
                "changed": sorted(changes),
                "missing": draft.missing(),
            }
        )
        return
    of = f" of the next revision of dataset {draft.dataset[:8]}" if draft.dataset else ""
    click.echo(f"Changed {', '.join(sorted(changes))} in draft {draft.id[:8]}{of}")
    missing = draft.missing()
    if missing:
        click.echo(plain(f"Still missing: {', '.join(missing)}"))
    else:
        click.echo(f"Next: locmesh publish {draft.id[:8]}")


@click.command("publish")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def publish_command(home: Path, *, ref: str, as_json: bool) -> None:
    """Publish a draft, named by its id or by its dataset's. What is published stays known.

    \b
    Example:
      locmesh publish 3fa9c21b
    """  # noqa: D301

    async def work(node: Node) -> Published:
        return await node.publishing.publish(ref)

    published = run_on_home(home, work)
    if as_json:
        _print_published(published)
        return
    click.echo(
        f"Published dataset {published.dataset} "
        f"(revision {published.revision}, {published.visibility})"
    )


@click.command("discard")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def discard_command(home: Path, *, ref: str, as_json: bool) -> None:
    """Forget a draft. What was published stays; the files you added from are not touched.

    \b
    Example:
      locmesh discard 3fa9c21b
    """  # noqa: D301

    async def work(node: Node) -> Draft:
        draft = await node.drafts.get(ref)
        if draft.envelope is not None:
            raise InputError(f"draft {draft.id[:8]} is being published; run locmesh publish again")
        await node.drafts.remove(draft.id)
        return draft

    draft = run_on_home(home, work)
    if as_json:
        print_json({"draft": draft.id})
        return
    click.echo(plain(f"Forgot draft {draft.id[:8]} ({draft.metadata.name or 'no name yet'})"))


@click.command("withdraw")
@click.argument("ref", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why, in a sentence; it is public.")
@click.option("--successor", metavar="ID", help="The dataset that takes its place.")
@json_option
@click.pass_obj
def withdraw_command(
    home: Path, *, ref: str, reason: str, successor: str | None, as_json: bool
) -> None:
    """End a dataset: it leaves every search, its page says why. Copies elsewhere may remain.

    \b
    Example:
      locmesh withdraw 3fa9c21b --reason "Wrong calibration" --successor 77b0e4d1
    """  # noqa: D301

    async def work(node: Node) -> Published:
        return await node.publishing.withdraw(ref, reason, successor=successor)

    withdrawn = run_on_home(home, work)
    if as_json:
        _print_published(withdrawn)
        return
    click.echo(f"Withdrew dataset {withdrawn.dataset}")


async def _draft_for(node: Node, ref: str) -> Draft:
    try:
        return await node.drafts.get(ref)
    except NotFoundError:
        return await node.publishing.revise(ref)


def _check_changes(draft: Draft, changes: dict[str, object]) -> None:
    now = draft.metadata.visibility
    if draft.dataset is not None and changes.get("visibility", now) != now:
        raise InputError(
            f"dataset {draft.dataset[:8]} was published as {now}, which is fixed; make a new "
            "dataset for another visibility"
        )
    names = [sample.name for sample in draft.samples]
    unknown = [name for name, _ in _samples(changes) if name not in names]
    if unknown:
        raise InputError(f"there is no sample {unknown[0]!r}; there are {', '.join(names)}")


def _samples(changes: dict[str, object]) -> tuple[tuple[str, str], ...]:
    samples = changes.get("samples", ())
    return samples if isinstance(samples, tuple) else ()


def _print_published(published: Published) -> None:
    print_json(
        {
            "dataset": published.dataset,
            "record": published.record,
            "revision": published.revision,
            "visibility": published.visibility,
        }
    )
