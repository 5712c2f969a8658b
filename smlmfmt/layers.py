"""Localization files in napari: each table and channel a Points layer, placed in nanometres.

napari finds these functions through `napari.yaml` and calls them with paths; it is not imported
here but to show its notifications.
"""

from __future__ import annotations

import itertools
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, UnitError
from smlmfmt.layer_images import image_layers
from smlmfmt.registry import read, sniff
from smlmfmt.summary import lateral_uncertainty
from smlmfmt.table import Bundle, Column, LocTable

if TYPE_CHECKING:
    import napari.types

__all__ = ["LayerData", "bundle_layers", "get_reader", "open_localizations", "read_layers"]

LayerData = tuple[Any, dict[str, Any], str]

POINTS_MAX = 1_000_000  # napari stays fluent; it keeps about 200 bytes for each point.
CHANNELS_MAX = 16  # A column of more values than that is a number and no channel.
SAMPLE_SEED = 20_180_801
BLOCK_ROWS = 1 << 20
DIAMETER_NM = 20.0
COLORS = ("magenta", "green", "cyan", "yellow", "red", "blue")


def get_reader(path: str | Sequence[str]) -> Callable[..., list[LayerData]] | None:
    """Return what reads these files into layers, or None if one of them is not ours.

    Only the content decides, as in `smlmfmt.sniff`: napari asks by file name, and much that is
    called .csv or .json is no localization table.
    """
    paths = [path] if isinstance(path, str) else list(path)
    try:
        known = [Path(item).is_file() and sniff(item) is not None for item in paths]
    except OSError:
        return None
    return read_layers if known and all(known) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Return the layers of files, as napari's readers do.

    Raises:
        FormatError: A file is damaged, or counts in pixels of unknown size.
        OSError: A file cannot be read.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for item in paths for layer in _file_layers(Path(item))]


def open_localizations(
    path: pathlib.Path,  # napari makes a field of it, and finds only full names.
    *,
    pixel_size_nm: float = 0.0,
    format_name: str = "",
    variant: str = "",
    points_max: int = POINTS_MAX,
) -> list[napari.types.LayerDataTuple]:
    """Return the layers of a file that does not say everything by itself: napari's form for it.

    Args:
        path: The file.
        pixel_size_nm: Camera pixel in nm, for files that count in pixels; 0 for the others.
        format_name: A name of `formats()`; "" finds out from the content.
        variant: Which version of the numbers, for formats that keep several; "" for the first.
        points_max: A layer with more localizations shows a uniform sample of so many.

    Raises:
        FormatError: As `smlmfmt.read`.
        OSError: The file cannot be read.
    """
    return _file_layers(
        path,
        points_max=points_max,
        pixel_size_nm=pixel_size_nm or None,
        format=format_name or None,
        variant=variant or None,
    )


def bundle_layers(
    bundle: Bundle, *, name: str, points_max: int = POINTS_MAX
) -> tuple[list[LayerData], list[str]]:
    """Return the layers of a bundle, images first, and what people should be told about them.

    Positions are (y, x), or (z, y, x) where the table is 3D, in nm. Every other column is a
    feature. What is left out of a layer (rows without a finite position, rows beyond points_max) is
    said in its name, in its metadata and in the notes.

    Args:
        bundle: As `smlmfmt.read` returns it.
        name: What the layers are called; the file's name.
        points_max: A layer with more localizations shows a uniform sample of so many.

    Raises:
        FormatError: points_max is not positive.
    """
    if points_max < 1:
        raise FormatError(f"points_max must be at least 1, got {points_max}")
    notes = list(bundle.warnings)
    layers, unplaced = image_layers(bundle.images, name=name)
    notes += unplaced
    parts = [
        (f"{name}: {table.name}" if len(bundle.tables) > 1 else name, part, channel)
        for table in bundle.tables
        for channel, part in _channels(table)
    ]
    colors = itertools.cycle(COLORS if len(parts) > 1 else ("white",))
    for (label, table, channel), color in zip(parts, colors, strict=False):
        title = f"{label} [{channel}]" if channel else label
        layer, said = _points(table, title=title, color=color, points_max=points_max)
        layer[1]["metadata"] |= {"format": bundle.format, "warnings": list(bundle.warnings)}
        layers.append(layer)
        notes += said
    if any(layer[0].shape[-1] == 3 for layer in layers if layer[2] == "points"):
        notes.append(f"{name} is 3D: switch to napari's 3D view to see all depths at once")
    return layers, notes


def _file_layers(path: Path, *, points_max: int = POINTS_MAX, **reading: Any) -> list[LayerData]:
    try:
        bundle = read(path, **reading)
    except UnitError as error:
        raise UnitError(f"{error}. In napari: Plugins > Localizations with options") from error
    layers, notes = bundle_layers(bundle, name=path.name, points_max=points_max)
    for layer in layers:
        layer[1]["metadata"]["path"] = str(path)
    for note in notes:
        _tell(note)
    return layers


def _channels(table: LocTable) -> Iterator[tuple[str, LocTable]]:
    """Yield the table's parts by channel: by its own, or by the values of its channel column."""
    own = "" if table.channel == "default" else table.channel
    values = _channel_values(table["channel"]) if "channel" in table else []
    if len(values) < 2:
        yield own, table
        return
    for value in values:
        # Of NaN there is one among the values, and it equals nothing.
        rows = table["channel"] == value if value == value else np.isnan(table["channel"])  # noqa: PLR0124
        number = str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
        yield f"{own} {number}".strip(), _taken(table, np.flatnonzero(rows))


def _channel_values(column: Column) -> list[float]:
    """Return the different values of a channel column, none if they are too many for channels."""
    if np.unique(column[:BLOCK_ROWS]).size > CHANNELS_MAX:
        return []
    values: list[float] = np.unique(column).tolist()
    return values if len(values) <= CHANNELS_MAX else []


def _points(
    table: LocTable, *, title: str, color: str, points_max: int
) -> tuple[LayerData, list[str]]:
    axes = _axes(table)
    notes = []
    placed = np.logical_and.reduce([np.isfinite(table[axis]) for axis in axes])
    rows = np.flatnonzero(placed)
    is_sample = rows.size > points_max
    if rows.size < len(table):
        lost = len(table) - rows.size
        notes.append(f"{title}: {lost:,} localizations without a finite position are not shown")
    if is_sample:
        rows = rows[uniform_rows(rows.size, points_max)]
        shown = f"{points_max:,} of {len(table):,}"
        notes.append(f"{title}: a uniform random sample is shown, {shown} localizations")
        title = f"{title} (sample, {shown})"
    part = table if rows.size == len(table) else _taken(table, rows)
    attributes = {
        "name": title,
        "features": {column: part[column] for column in part if column not in axes},
        "size": _diameter(part),
        "scale": (1.0,) * len(axes),
        "units": ("nm",) * len(axes),
        "axis_labels": axes,
        "face_color": color,
        "border_width": 0.0,
        "blending": "additive",
        "opacity": 0.7,
        "metadata": _metadata(table, shown=len(part), is_sample=is_sample),
    }
    return (np.column_stack([part[axis] for axis in axes]), attributes, "points"), notes


def _axes(table: LocTable) -> tuple[str, ...]:
    """Return the columns that place a point, in napari's order.

    Raises:
        FormatError: The table has no x or no y, or counts them in no length.
    """
    if not {"x", "y"} <= set(table.columns):
        raise FormatError(f"table {table.name!r} has no x and y; there are {table.columns}")
    z = table["z"] if "z" in table else np.empty(0)
    finite = z[np.isfinite(z)]
    # Many 2D files have a z of zeros.
    is_3d = finite.size > 0 and finite.min() < finite.max()
    axes = ("z", "y", "x") if is_3d else ("y", "x")
    for axis in axes:
        if table.units[axis] not in ("nm", ""):
            raise UnitError(f"table {table.name!r}: {axis} is in {table.units[axis]!r}, not in nm")
    return axes


def uniform_rows(count: int, wanted: int, *, seed: int = SAMPLE_SEED) -> npt.NDArray[np.intp]:
    """Return a uniform random sample of row numbers, ascending, the same for the same seed.

    Every set of `wanted` rows is equally likely: how many fall into each block is drawn from the
    multivariate hypergeometric distribution, then which, so that memory follows the block and the
    sample and not the table.

    Args:
        count: Rows to choose from.
        wanted: Rows to choose, at most `count`.
        seed: Of the random numbers.
    """
    random = np.random.default_rng(seed)
    starts = np.arange(0, count, BLOCK_ROWS)
    sizes = np.minimum(BLOCK_ROWS, count - starts)
    shares = random.multivariate_hypergeometric(sizes, wanted)
    chosen = [
        start + np.sort(random.choice(size, share, replace=False, shuffle=False))
        for start, size, share in zip(starts, sizes, shares, strict=True)
    ]
    return np.concatenate(chosen, dtype=np.intp) if chosen else np.empty(0, np.intp)


def _taken(table: LocTable, rows: npt.NDArray[np.intp]) -> LocTable:
    return LocTable(
        {column: table[column][rows] for column in table},
        table.units,
        name=table.name,
        channel=table.channel,
        frame_origin=table.frame_origin,
        source_names=table.source_names,
        metadata=table.metadata,
        format=table.format,
    )


def _diameter(table: LocTable) -> float:
    """Return twice the median lateral uncertainty in nm: the disc that holds one in most."""
    values = lateral_uncertainty(table, slice(0, len(table)))
    good = np.empty(0) if values is None else values[np.isfinite(values) & (values > 0)]
    return 2 * float(np.median(good)) if good.size else DIAMETER_NM


def _metadata(table: LocTable, *, shown: int, is_sample: bool) -> dict[str, Any]:
    return {
        "rows": len(table),
        "rows_shown": shown,
        "sample_seed": SAMPLE_SEED if is_sample else None,
        "table": table.name,
        "channel": table.channel,
        "column_units": dict(table.units),
        "source_names": dict(table.source_names),
        "frame_origin": table.frame_origin,
        "file_says": dict(table.metadata),
    }


def _tell(note: str) -> None:
    """Show a notification in napari; a warning where there is no napari."""
    try:
        from napari.utils.notifications import show_warning  # noqa: PLC0415 - not ours to load.
    except ImportError:
        warnings.warn(note, stacklevel=2)
    else:
        show_warning(note)
