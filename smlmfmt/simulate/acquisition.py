"""From label sites to a localization table: labelling, blinking, photons, localization error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.simulate.experiment import Experiment, Fluorophore
from smlmfmt.simulate.geometry import Floats, Random, Sites, smooth_noise
from smlmfmt.table import LocTable

__all__ = ["acquire", "localization_precision"]

PHOTONS_MIN = 60.0  # Fainter spots are not found.
FOCUS_NM = {2: 330.0, 3: 480.0}  # How far from focus an emitter is still found.
PSF_DEPTH_NM = 420.0  # Defocus at which the PSF is wider by the square root of two.
ASTIGMATISM_NM = 260.0  # Half the distance of the two foci of the cylindrical lens.
PER_FRAME_UM2 = 0.12  # Emitters that shine at once, per area, in a well-run experiment.
FRAMES_MIN, FRAMES_MAX = 2_000, 60_000
DRIFT_KNOTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blinks:
    """One row per localization: the event it belongs to, its frame, its part of the light."""

    event: npt.NDArray[np.intp]
    frame: npt.NDArray[np.int32]
    part: Floats


def acquire(
    sites: Sites, random: Random, *, localizations: int, experiment: Experiment
) -> LocTable:
    """Return exactly this many localizations of the labelled sites, in order of frames."""
    dye = experiment.fluorophore
    emitters = _label(sites, random, experiment)
    frames = experiment.frames or _frames(localizations, experiment.field_um)
    events = _events(
        random, localizations=localizations, on_frames=dye.on_frames, on_frames_max=frames
    )
    places = _places(emitters, random, count=len(events), experiment=experiment)
    blinks = _blink(
        random,
        durations=events,
        localizations=localizations,
        frames=frames,
        bleaching=dye.bleaching,
    )
    true = places[blinks.event]
    columns = _localize(true, blinks, random, experiment=experiment)
    drift = experiment.drift_nm * smooth_noise(random, rows=2, count=frames, knots=DRIFT_KNOTS)
    columns["x"] += drift[0][blinks.frame - 1]
    columns["y"] += drift[1][blinks.frame - 1]
    return _table(columns, blinks.frame)


def localization_precision(
    photons: Floats, *, background: Floats, psf_nm: Floats, pixel_nm: float
) -> Floats:
    """Return the standard deviation in nm of a maximum-likelihood position, along one axis.

    With s_a^2 = s^2 + a^2 / 12 and tau = 2 pi b s_a^2 / (N a^2), for PSF width s, pixel a,
    N photons and b background photons per pixel:
    var = s_a^2 / N (1 + 4 tau + sqrt(2 tau / (1 + 4 tau))).

    Source:
        Rieger and Stallinga, ChemPhysChem 15, 664 (2014), eq. 2; it agrees with the maximum
        likelihood formula of Mortensen et al., Nature Methods 7, 377 (2010).
    """
    width_nm2 = psf_nm**2 + pixel_nm**2 / 12
    tau = 2 * np.pi * background * width_nm2 / (photons * pixel_nm**2)
    variance = width_nm2 / photons * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau)))
    return np.asarray(np.sqrt(variance))


def _label(sites: Sites, random: Random, experiment: Experiment) -> Floats:
    """Return the emitters' places: labelled, in the field, near enough to focus."""
    positions, field_nm = sites.positions, experiment.field_um * 1000
    focus = np.exp(-np.square(positions[:, 2] / FOCUS_NM[experiment.dimension]) / 2)
    lateral = positions[:, :2]
    inside = np.all((lateral >= 0) & (lateral <= field_nm), axis=1)
    chosen = np.flatnonzero(inside & (random.random(len(focus)) < experiment.labelling * focus))
    positions, outward = positions[chosen], sites.outward[chosen]
    # A linker stands away from the surface and wobbles; without a surface it points anywhere.
    wobble = random.normal(size=positions.shape)
    fixed = np.abs(outward).max(axis=1, keepdims=True, initial=0) > 0
    direction = np.where(fixed, outward + 0.35 * wobble, wobble)
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    reach = experiment.linkage_nm * random.uniform(0.6, 1.2, (len(positions), 1))
    return positions + direction * reach


def _frames(localizations: int, field_um: float) -> int:
    wanted = localizations / (PER_FRAME_UM2 * field_um**2)
    return int(np.clip(wanted, FRAMES_MIN, FRAMES_MAX))


def _events(
    random: Random, *, localizations: int, on_frames: float, on_frames_max: int
) -> npt.NDArray[np.intp]:
    """Return how many frames each event lasts, in sum at least the localizations wanted."""
    # The on-state ends with the same chance in every frame, so its length is geometric.
    events = np.zeros(0, np.intp)
    while events.sum() < localizations:
        more = int(1.02 * (localizations - events.sum()) / on_frames) + 16
        lengths = np.minimum(random.geometric(1 / on_frames, more), on_frames_max)
        events = np.append(events, lengths)
    return events[: int(np.searchsorted(np.cumsum(events), localizations)) + 1]


def _places(emitters: Floats, random: Random, *, count: int, experiment: Experiment) -> Floats:
    """Return the true place of each event, in random order; a part belongs to no structure."""
    field_nm = experiment.field_um * 1000
    stray = random.random(count) < (experiment.unspecific if len(emitters) else 1.0)
    strays = int(stray.sum())
    places = np.empty((count, 3))
    places[stray, :2] = random.random((strays, 2)) * field_nm
    places[stray, 2] = random.normal(0, 250, strays)
    # Rates differ between emitters; exponential rates make the events per emitter geometric.
    if len(emitters):
        rates = random.exponential(size=len(emitters))
        ends = np.cumsum(rates)
        chosen = np.searchsorted(ends, random.random(count - strays) * ends[-1])
        places[~stray] = emitters[np.minimum(chosen, len(emitters) - 1)]
    return places


def _blink(
    random: Random,
    *,
    durations: npt.NDArray[np.intp],
    localizations: int,
    frames: int,
    bleaching: float,
) -> _Blinks:
    """Return when each event shines; its first and last frames hold only a part of the light."""
    events = len(durations)
    share = random.random(events)
    if bleaching > 0:
        share = -np.log1p(-share * -np.expm1(-bleaching)) / bleaching
    first = 1 + (share * (frames - durations + 1)).astype(np.int32)
    event = np.repeat(np.arange(events), durations)
    begins = np.cumsum(durations) - durations
    within = np.arange(len(event)) - begins[event]
    frame = (first[event] + within).astype(np.int32)
    part = np.ones(len(event))
    edge = (within == 0) | (within == durations[event] - 1)
    part[edge] = random.uniform(0.25, 1.0, int(edge.sum()))
    order = np.argsort(frame[:localizations], kind="stable")
    return _Blinks(event=event[order], frame=frame[order], part=part[order])


def _localize(
    true: Floats, blinks: _Blinks, random: Random, *, experiment: Experiment
) -> dict[str, Floats]:
    """Return measured columns, each (n,), for true places of shape (n, 3)."""
    dye, rows, z = experiment.fluorophore, len(true), true[:, 2]
    photons = _photons(blinks, random, dye=dye)
    background = dye.background * random.lognormal(0, 0.18, rows)
    widths = _widths(z, dye.psf_nm, dimension=experiment.dimension)
    psf = np.sqrt(widths[0] * widths[-1])
    precision = localization_precision(
        photons, background=background, psf_nm=psf, pixel_nm=experiment.pixel_nm
    )
    columns = {
        "x": true[:, 0] + precision * random.normal(size=rows),
        "y": true[:, 1] + precision * random.normal(size=rows),
    }
    # Astigmatism tells z about 2.3 times worse than x, and worse away from focus.
    z_precision = precision * 2.3 * (1 + np.square(z / 800))
    if experiment.dimension == 3:
        columns["z"] = z + z_precision * random.normal(size=rows)
    names = ("sigma",) if experiment.dimension == 2 else ("sigma_x", "sigma_y")
    for name, width in zip(names, widths, strict=True):
        columns[name] = width * (1 + random.normal(size=rows) * 0.8 / np.sqrt(photons))
    columns |= {"intensity": photons, "background": background, "uncertainty_xy": precision}
    if experiment.dimension == 3:
        columns["uncertainty_z"] = z_precision
    return columns


def _photons(blinks: _Blinks, random: Random, *, dye: Fluorophore) -> Floats:
    # An emitter's place in the beam and its orientation last for the event; the rest is noise.
    events = int(blinks.event.max(initial=-1)) + 1
    bright = random.lognormal(np.log(dye.photons), dye.photons_spread, events)
    mean = bright[blinks.event] * blinks.part
    return PHOTONS_MIN + random.normal(mean, np.sqrt(mean)).clip(0)


def _widths(z: Floats, psf_nm: float, *, dimension: int) -> tuple[Floats, ...]:
    """Return the PSF's standard deviations: one, or with astigmatism one per axis.

    Source:
        Huang et al., Science 319, 810 (2008), without its higher orders.
    """
    foci = (0.0,) if dimension == 2 else (ASTIGMATISM_NM, -ASTIGMATISM_NM)
    return tuple(psf_nm * np.sqrt(1 + np.square((z - focus) / PSF_DEPTH_NM)) for focus in foci)


def _table(columns: dict[str, Floats], frame: npt.NDArray[np.int32]) -> LocTable:
    units = {"intensity": "photon", "background": "photon"}
    return LocTable(
        {"frame": frame} | {name: values.astype(np.float32) for name, values in columns.items()},
        units={name: units.get(name, "nm") for name in columns},
        frame_origin=1,
    )
