"""What a picture of a view needs: the camera, and of each pyramid the tiles that it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from node.viewing.shelf import Top
from node.viewing.view_state import ViewState
from smlmfmt.pyramid import Cut, Grid, choose_cut

__all__ = ["Camera", "Layer", "Scene", "aim", "select_nodes"]

Floats: TypeAlias = npt.NDArray[np.float64]
Box: TypeAlias = tuple[tuple[float, float], ...]

ROWS_PER_PIXEL = 1.5  # As the page refines.
ROOM = 1.04  # Around everything, when everything is shown.
MARGIN_PX = 64  # Splats reach into the picture from outside.
SPAN_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Where one looks from: a centre and a scale in nm, two angles in degrees, pixels.

    Unturned, x grows to the right and y downwards.
    """

    center: tuple[float, float, float]
    nm: float
    rot: tuple[float, float]
    width: int
    height: int

    @property
    def is_turned(self) -> bool:
        """Say whether the picture is not simply x and y."""
        return self.rot != (0.0, 0.0)

    def pixels(self, place: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Return column and row, from the upper left corner, of positions x, y (and z) in nm."""
        azimuth, elevation = (math.radians(angle) for angle in self.rot)
        ca, sa, ce, se = (
            math.cos(azimuth),
            math.sin(azimuth),
            math.cos(elevation),
            math.sin(elevation),
        )
        from_center = [values - self.center[axis] for axis, values in enumerate(place)]
        right = ca * from_center[0] + sa * from_center[1]
        down = ce * (ca * from_center[1] - sa * from_center[0])
        if len(from_center) == 3:
            down = down + se * from_center[2]
        return right / self.nm + self.width / 2, down / self.nm + self.height / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One channel: its number, its pyramid's top, the nodes that are shown, and their tiles."""

    channel: int
    top: Top
    cut: Cut
    tiles: dict[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is drawn. `channel_count` is that of the sample, hidden channels included."""

    camera: Camera
    state: ViewState
    layers: tuple[Layer, ...]
    channel_count: int
    has_scale_bar: bool


def aim(state: ViewState, bounds: Sequence[Box], *, width: int, height: int) -> Camera:
    """Return the camera of a state.

    Args:
        state: What it leaves open is chosen so that everything is in view.
        bounds: Of each pyramid, ((min, max), ...) along x, y and maybe z.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
    """
    box = [
        (min(ends[0] for ends in axis), max(ends[1] for ends in axis))
        for axis in ([b[i] for b in bounds if i < len(b)] for i in range(3))
        if axis
    ]
    center = [(low + high) / 2 for low, high in box]
    center += [0.0] * (3 - len(center))
    for axis, value in enumerate(state.at or ()):
        center[axis] = value
    sizes = [max(high - low, 1.0) for low, high in box] or [1.0, 1.0]
    fitting = ROOM * max(sizes[0] / width, sizes[1] / height)
    return Camera(
        center=(center[0], center[1], center[2]),
        nm=state.nm or max(fitting, 1e-3),
        rot=state.rot if len(box) == 3 else (0.0, 0.0),
        width=width,
        height=height,
    )


def select_nodes(top: Top, camera: Camera, *, rows_max: int) -> Cut:
    """Return the nodes that the camera sees, refined as far as its pixels and rows_max allow."""
    with top.open({}) as pyramid:
        return choose_cut(
            pyramid,
            _grid(camera, pyramid.about),
            rows_max=rows_max,
            rows_per_pixel=ROWS_PER_PIXEL,
        )


def _grid(camera: Camera, about: Any) -> Grid:
    if camera.is_turned:
        # What a turned camera sees is not a box: refine everywhere, as finely as there is room.
        pixel = max(camera.nm, about.side / SPAN_MAX)
        count = max(1, math.ceil(about.side / pixel))
        return Grid(x=about.origin[0], y=about.origin[1], pixel=pixel, width=count, height=count)
    return Grid(
        x=camera.center[0] - (camera.width / 2 + MARGIN_PX) * camera.nm,
        y=camera.center[1] - (camera.height / 2 + MARGIN_PX) * camera.nm,
        pixel=camera.nm,
        width=camera.width + 2 * MARGIN_PX,
        height=camera.height + 2 * MARGIN_PX,
    )
