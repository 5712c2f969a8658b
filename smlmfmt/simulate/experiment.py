"""What is known of an experiment before the first blink: dye, optics, labelling, field."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALEXA_647", "CY3B_PAINT", "MEOS2", "SILICON_RHODAMINE", "Experiment", "Fluorophore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fluorophore:
    """How one emitter blinks, as a camera at a usual exposure sees it.

    Attributes:
        photons: Median photons of one emitter in one frame.
        photons_spread: Standard deviation of the logarithm of that number.
        on_frames: Mean length of one event, in frames.
        psf_nm: Standard deviation of the point spread function in focus.
        background: Photons per camera pixel and frame that are not the emitter's.
        bleaching: How many times 1/e the number of live emitters falls during the movie.
    """

    photons: float
    photons_spread: float
    on_frames: float
    psf_nm: float
    background: float
    bleaching: float


ALEXA_647 = Fluorophore(
    photons=1100, photons_spread=0.6, on_frames=2.4, psf_nm=132, background=24, bleaching=1.6
)
MEOS2 = Fluorophore(
    photons=330, photons_spread=0.5, on_frames=2.8, psf_nm=120, background=8, bleaching=0.8
)
CY3B_PAINT = Fluorophore(
    photons=5200, photons_spread=0.55, on_frames=4.0, psf_nm=118, background=70, bleaching=0.0
)
SILICON_RHODAMINE = Fluorophore(
    photons=800, photons_spread=0.6, on_frames=2.0, psf_nm=135, background=28, bleaching=1.1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One field of view and how it was labelled and imaged.

    Attributes:
        field_um: Side of the square field.
        dimension: 2, or 3 with an astigmatic lens.
        labelling: Part of the sites that carry a working emitter.
        linkage_nm: Distance of the emitter from the molecule it marks.
        unspecific: Part of the localizations that belong to no structure.
        drift_nm: Standard deviation of the drift that correction left behind.
        pixel_nm: Side of a camera pixel in the sample.
        frames: Length of the movie; None takes what keeps single emitters apart.
    """

    field_um: float = 20.0
    dimension: int = 2
    fluorophore: Fluorophore = ALEXA_647
    labelling: float = 0.6
    linkage_nm: float = 8.0
    unspecific: float = 0.02
    drift_nm: float = 2.0
    pixel_nm: float = 100.0
    frames: int | None = None
