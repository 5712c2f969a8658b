"""What a first reading of the rows decides: the cube, the encodings, the size of a tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.deflate import in_threads
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.pyramid.encoding import Carry, Survey, choose
from smlmfmt.pyramid.layout import (
    AXES,
    COLUMNS_MAX,
    FINE_LEVELS_MAX,
    ROWS_PER_TILE_MAX,
    ROWS_PER_TILE_MIN,
    SEED_MAX,
    Column,
    lay_out,
)
from smlmfmt.pyramid.source import Block, Source

__all__ = ["Columns", "Cube", "Options", "Plan", "make_plan"]

Columns = Sequence[str] | Mapping[str, Carry]

DEFAULT_COLUMNS: Mapping[str, Carry] = {
    "frame": Carry(),
    "uncertainty_xy": Carry(scale="log", bits=8),
    "intensity": Carry(scale="log", bits=8),
    "channel": Carry(),
}
ROWS_PER_TILE = 1 << 14
TILE_SIZE = 196_608  # Bytes of K rows at most, so that header, index and root are a quick load.
SIDE_LEAST_NM = 1e-3  # A smaller extent is one place.
STEP_PART = 10  # A position's step is to be this many times smaller than the least precision,
STEP_LEAST_NM = 0.5  # but need not be finer than this,
STEP_MOST_NM = 1.0  # and is never coarser than this.


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to build a pyramid.

    Attributes:
        dimension: 2 or 3; None takes 3 if z is not the same everywhere.
        rows_per_tile: K; None takes 16,384, or as many rows as make 192 KiB.
        seed: Of the hashes that choose which rows are seen first, 0 to 2**63 - 1.
        memory_size: Above this many bytes, tiles in the making lie in a temporary file beside the
            result.
    """

    dimension: int | None = None
    rows_per_tile: int | None = None
    seed: int = 0
    memory_size: int = 1 << 30

    def __post_init__(self) -> None:
        if self.dimension not in (None, 2, 3):
            raise FormatError(f"a pyramid has 2 or 3 dimensions, got {self.dimension}")
        k = self.rows_per_tile
        if k is not None and not ROWS_PER_TILE_MIN <= k <= ROWS_PER_TILE_MAX:
            limits = f"{ROWS_PER_TILE_MIN} to {ROWS_PER_TILE_MAX}"
            raise FormatError(f"rows_per_tile must be {limits}, got {k}")
        if not 0 <= self.seed <= SEED_MAX:
            raise FormatError(f"the seed must be 0 to {SEED_MAX}, got {self.seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """The root cell, and the box around the positions in it: ((min, max), ...) per axis."""

    origin: tuple[float, ...]
    side: float
    bounds: tuple[tuple[float, float], ...]

    @property
    def scale(self) -> float:
        """Positions of 32 bits per unit of length."""
        return 2.0**32 / self.side

    def place(self, value: float, axis: int) -> int:
        """Return the position of 32 bits of one coordinate."""
        return int(min(max(math.floor((value - self.origin[axis]) * self.scale), 0), 2**32 - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is decided before the tiles are made."""

    axes: tuple[str, ...]
    cube: Cube
    columns: tuple[Column, ...]
    surveys: Mapping[str, Survey]
    placed: int
    planes: int
    rows_per_tile: int
    fine_levels: int
    seed: int

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.axes)

    @property
    def fine_planes(self) -> int:
        """How many planes the next 16 bits of the positions take."""
        return self.dimension - 1


def make_plan(source: Source, columns: Columns | None, options: Options) -> Plan:
    """Read the rows once and decide.

    Raises:
        HeaderError: A column that is asked for is not there, or too many are.
    """
    carried = _carried(source, columns, options)
    axes = AXES[: options.dimension or (3 if "z" in source.names else 2)]
    if axes[-1] not in source.names:
        raise HeaderError(f"{source.name}: a pyramid in 3D needs a column z")
    surveys, bounds = _survey(source, axes, carried)
    if len(axes) == 3 and options.dimension is None and not _has_depth(bounds):
        # z may be constant, or missing throughout: the rows still have a place in 2D.
        axes = AXES[:2]
        surveys, bounds = _survey(source, axes, carried)
    encodings = {name: choose(surveys[name], carry) for name, carry in carried.items()}
    lanes, planes = lay_out(len(axes), [item.bits for item in encodings.values()])
    cube = _cube(bounds)
    return Plan(
        axes=axes,
        cube=cube,
        columns=tuple(
            Column(name=name, unit=source.unit(name), encoding=encoding, lanes=found)
            for (name, encoding), found in zip(encodings.items(), lanes, strict=True)
        ),
        surveys=surveys,
        placed=surveys["x"].finite,
        planes=planes,
        rows_per_tile=options.rows_per_tile or min(ROWS_PER_TILE, TILE_SIZE // (4 * planes)),
        fine_levels=_fine_levels(cube, surveys.get("uncertainty_xy"), source.unit("x")),
        seed=options.seed,
    )


def _carried(source: Source, columns: Columns | None, options: Options) -> dict[str, Carry]:
    if columns is None:
        wanted = {name: how for name, how in DEFAULT_COLUMNS.items() if name in source.names}
    elif isinstance(columns, Mapping):
        wanted = dict(columns)
    else:
        wanted = {name: DEFAULT_COLUMNS.get(name, Carry()) for name in columns}
    for name in wanted:
        if name not in source.names:
            have = ", ".join(source.names)
            raise HeaderError(f"{source.name}: no column {name!r} to carry; there are {have}")
    if {"x", "y"} & wanted.keys() or ("z" in wanted and options.dimension != 2):
        raise HeaderError("x, y and (in 3D) z are in every pyramid; do not name them as columns")
    if len(wanted) > COLUMNS_MAX or any(len(name) > 200 for name in wanted):
        raise HeaderError(f"a pyramid carries at most {COLUMNS_MAX} columns of 200 letters' name")
    return wanted


def _has_depth(bounds: npt.NDArray[np.float64]) -> bool:
    return bool(bounds[2, 1] - bounds[2, 0] > SIDE_LEAST_NM)


def _survey(
    source: Source, axes: tuple[str, ...], carried: Mapping[str, Carry]
) -> tuple[dict[str, Survey], npt.NDArray[np.float64]]:
    """Return what is in the columns (positions, too), and the positions' bounds, shape (d, 2)."""
    from smlmfmt.pyramid.kernels import survey  # noqa: PLC0415 - numba is slow to import.

    def work(make: Callable[[], Block]) -> npt.NDArray[np.float64]:
        block = make()
        found = np.tile([0, 0, np.inf, np.inf, -np.inf, 0], (len(axes) + len(carried), 1))
        for row, values in zip(found, [*block.axes, *block.columns.values()], strict=True):
            survey(values, row)
        placed = np.full((len(found), 1), block.axes.shape[1], np.float64)
        return np.hstack([found, placed])

    total = np.tile([0, 0, np.inf, np.inf, -np.inf, 0, 0], (len(axes) + len(carried), 1))
    for part in in_threads(work, source.blocks(axes, carried)):
        total[:, [0, 1, 6]] += part[:, [0, 1, 6]]
        total[:, 2:4] = np.minimum(total[:, 2:4], part[:, 2:4])
        total[:, 4:6] = np.maximum(total[:, 4:6], part[:, 4:6])
    surveys = {
        name: Survey(
            rows=int(row[6]),
            finite=int(row[0]),
            nonpositive=int(row[1]),
            low=float(row[2]),
            low_positive=float(row[3]),
            high=float(row[4]),
            is_whole=not row[5],
        )
        for name, row in zip([*axes, *carried], total, strict=True)
    }
    return surveys, total[: len(axes)][:, [2, 4]]


def _cube(bounds: npt.NDArray[np.float64]) -> Cube:
    if not np.isfinite(bounds).all():
        bounds = np.zeros_like(bounds)
    extent = float((bounds[:, 1] - bounds[:, 0]).max())
    return Cube(
        origin=tuple(float(low) for low in bounds[:, 0]),
        side=extent if extent > SIDE_LEAST_NM else 1.0,
        bounds=tuple((float(low), float(high)) for low, high in bounds),
    )


def _fine_levels(cube: Cube, sigma: Survey | None, unit: str) -> int:
    """Return on how many levels 16 bits per position would be too coarse for the precision."""
    if unit not in ("nm", ""):
        return 0
    step = STEP_MOST_NM
    if sigma is not None and math.isfinite(sigma.low_positive):
        step = min(max(sigma.low_positive / STEP_PART, STEP_LEAST_NM), STEP_MOST_NM)
    levels = (level for level in range(FINE_LEVELS_MAX) if cube.side / 2 ** (level + 16) <= step)
    return next(levels, FINE_LEVELS_MAX)
