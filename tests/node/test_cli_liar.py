"""`locmesh get` beside a holder that serves flipped bytes: named, left, and done without."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.node.federation import Site, some_bytes
from tests.processes import nodes

DATA = some_bytes((3 << 20) + 5)


@pytest.fixture
async def holders(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[list[Site]]:
    sites = [
        await Site(tmp_path / name, name=name, port=unused_tcp_port_factory()).start(syncs=False)
        for name in ("lab", "partner")
    ]
    yield sites
    for site in sites:
        await site.stop()


async def shell(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, while the nodes answer in this one."""
    return await asyncio.to_thread(
        subprocess.run,
        nodes.command(home, *args),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=nodes.environment(home),
    )


async def test_get_names_piece_and_holder_and_goes_on(holders: list[Site], tmp_path: Path) -> None:
    lab, partner = holders
    record = await lab.publish("Large", data=DATA)
    home = tmp_path / "reader"
    await shell(home, "init", "--name", "Reader")
    for site in holders:
        done = await shell(home, "peer", "add", site.url, "--yes")
        assert done.returncode == 0, done.stderr
    await partner.publish("The same bytes", data=DATA)
    view = await lab.node.catalog.dataset(record.id)
    blob = view.metadata.samples[0].files[0].blob
    flipped = bytearray(DATA[: 1 << 20])
    flipped[12_345] ^= 1
    partner.lies[f"/blobs/{blob.sha256}"] = bytes(flipped)
    assert (await shell(home, "sync")).returncode == 0

    done = await shell(home, "get", record.id, "-o", str(tmp_path / "text"))
    assert done.returncode == 0, done.stderr
    assert "piece" in done.stderr
    assert f"127.0.0.1:{partner.port}" in done.stderr
    assert [path.read_bytes() for path in (tmp_path / "text").rglob("table.bin")] == [DATA]

    done = await shell(home, "get", record.id, "-o", str(tmp_path / "json"), "--json")
    assert done.returncode == 0, done.stderr
    (got,) = json.loads(done.stdout)["datasets"]
    (file,) = got["files"]
    assert any("piece" in fault for fault in file["faults"])
    assert all(str(partner.port) in fault for fault in file["faults"])
    assert [title for title in file["sources"] if lab.url in title]
    assert not [title for title in file["sources"] if partner.url in title]
    assert [path.read_bytes() for path in (tmp_path / "json").rglob("table.bin")] == [DATA]

    listed = json.loads((await shell(home, "peer", "list", "--json")).stdout)["peers"]
    (said,) = [peer["last_refusal"] for peer in listed if peer["publisher"] == partner.publisher]
    assert "piece" in said


async def test_get_from_a_liar_alone_writes_nothing(holders: list[Site], tmp_path: Path) -> None:
    lab, _ = holders
    record = await lab.publish("Large", data=DATA)
    home = tmp_path / "reader"
    await shell(home, "init", "--name", "Reader")
    await shell(home, "peer", "add", lab.url, "--yes")
    assert (await shell(home, "sync")).returncode == 0
    view = await lab.node.catalog.dataset(record.id)
    blob = view.metadata.samples[0].files[0].blob
    lab.lies[f"/blobs/{blob.sha256}"] = bytes(1 << 20)
    done = await shell(home, "get", record.id, "-o", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "piece" in done.stderr
    assert f"127.0.0.1:{lab.port}" in done.stderr  # Whichever of its faults is said first.
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("table.bin"))
