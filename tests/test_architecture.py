"""The house's own rules: who may import whom, what stays sans-IO, how large a module gets."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PACKAGES = ("smlmfmt", "protocol", "node")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

# Imports point only downward: node -> protocol, node -> smlmfmt.
FORBIDDEN = {
    "smlmfmt": {"node", "protocol", "tests", "aiohttp", "socket", "sqlite3", "sqlite_utils"},
    "protocol": {
        "node",
        "smlmfmt",
        "tests",
        # Sans-IO: no socket, no disk, no clock, no randomness, no database.
        "aiohttp",
        "asyncio",
        "datetime",
        "io",
        "os",
        "pathlib",
        "random",
        "secrets",
        "shutil",
        "socket",
        "sqlite3",
        "sqlite_utils",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
        "zeroconf",
    },
    "node": {"tests"},
}
# The layers inside the daemon: storage knows nothing of the catalog, the catalog nothing of peers.
FORBIDDEN_INSIDE_NODE = {
    "node/storage": ("node.catalog", "node.peering", "node.web", "node.cli", "node.app"),
    "node/catalog": ("node.peering", "node.web", "node.cli", "node.app"),
    "node/peering": ("node.web", "node.cli"),
    "node/web": ("node.cli",),
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}


def imports(tree: ast.AST) -> Iterator[str]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, "imports are absolute"
            yield item.module or ""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_stays_in_its_layer(path: Path) -> None:
    name = relative(path)
    modules = set(imports(ast.parse(path.read_text(encoding="utf-8"))))
    assert not {module.partition(".")[0] for module in modules} & FORBIDDEN[name.split("/")[0]]
    for layer, above in FORBIDDEN_INSIDE_NODE.items():
        if name.startswith(layer + "/"):
            assert not [m for m in modules if m.startswith(above)], f"{name} imports upward"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_is_small_and_named_for_its_noun(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES_MAX
    assert path.stem not in VAGUE_NAMES
    for item in ast.walk(ast.parse(text)):
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (item.end_lineno or item.lineno) - item.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{item.name} has {lines} lines"


def test_protocol_reads_no_clock_and_rolls_no_dice() -> None:
    """What an import list does not show: numpy's and the key library's own randomness."""
    for path in (ROOT / "protocol").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        dice = r"np\.random|numpy\.random|PrivateKey\.generate|(?<![.\w])(?<!def )open\("
        assert not re.search(dice, text), path


def test_no_machine_path_or_registry_is_named() -> None:
    for path in [*MODULES, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(work|root|home/\w+)/\w", text), path
