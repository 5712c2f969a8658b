"""Programs whose tables have no format name of their own: told by their header in a plain csv.

Their headers name no units, or name some columns as nothing else does.

Source: cleterrier/ChriSTORM Routines/F-TranslateSA-TS.js, F-TranslateDOM-TS.js; PALMsiever
fileIO/Ascii/Vutara.m, rainSTORM_v3_x.m; jungmannlab/picasso docs/files.rst;
ZhuangLab/storm-analysis sa_library/i3dtype.py; aherbert/gdsc-smlm PeakResultsReader.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smlmfmt.columns import header_key

__all__ = ["KnownHeader", "known_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHeader:
    """One program's columns.

    Attributes:
        telling: `header_key`s that its headers have.
        columns: Our name and unit by `header_key`.
        frame_origin: What it counts frames from, None if that is not known.
    """

    program: str
    telling: frozenset[str]
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    frame_origin: int | None = None


def known_header(sources: Sequence[str]) -> KnownHeader | None:
    """Return what is known of a header, None if nothing is."""
    keys = {_key(source) for source in sources}
    return next((known for known in _KNOWN if known.telling <= keys), None)


def _key(source: str) -> str:
    key = header_key(source)
    # Insight3's first header is the name of its file of categories, Cas44178.
    return "cas" if key.startswith("cas") and key[3:].isdecimal() else key


_PIXELS = {"x": ("x", "px"), "y": ("y", "px")}
_KNOWN = (
    KnownHeader(
        program="storm-analysis",
        telling=frozenset({"frame_number", "x", "y", "xsigma", "significance"}),
        columns=_PIXELS
        | {
            "z": ("z", "um"),
            "xsigma": ("sigma_x", "px"),
            "ysigma": ("sigma_y", "px"),
            "sum": ("intensity", ""),
        },
        frame_origin=0,
    ),
    KnownHeader(
        program="Insight3",
        telling=frozenset({"cas", "x", "y", "xc", "yc"}),
        columns=_PIXELS
        | {
            "xc": ("x_drift_corrected", "px"),
            "yc": ("y_drift_corrected", "px"),
            "z": ("z", "nm"),
            "zc": ("z_drift_corrected", "nm"),
        },
    ),
    KnownHeader(
        program="Picasso",
        telling=frozenset({"x", "y", "lpx", "lpy"}),
        columns=_PIXELS
        | {
            "z": ("z", "nm"),
            "sx": ("sigma_x", "px"),
            "sy": ("sigma_y", "px"),
            "lpx": ("x_precision", "px"),
            "lpy": ("y_precision", "px"),
            "lpz": ("z_precision", "nm"),
        },
        frame_origin=0,
    ),
    KnownHeader(
        program="GDSC SMLM",
        telling=frozenset({"origx", "origy", "origvalue", "x", "y"}),
        columns=_PIXELS | {"z": ("z", "px")},
    ),
    KnownHeader(
        program="DoM",
        telling=frozenset({"x_(px)", "y_(px)", "x_(nm)", "y_(nm)"}),
        columns={
            "x_loc_error(nm)": ("x_precision", "nm"),
            "y_loc_error(nm)": ("y_precision", "nm"),
            "z_loc_error(nm)": ("z_precision", "nm"),
            "sd_x_(nm)": ("sigma_x", "nm"),
            "sd_y_(nm)": ("sigma_y", "nm"),
            "integratedint": ("intensity", "digital"),
            "bgfit": ("background", "digital"),
        },
    ),
    *(
        KnownHeader(
            program="Vutara",
            telling=frozenset({f"image{sign}id", f"z{sign}step", "x", "y", "z"}),
            columns={
                "x": ("x", "nm"),
                "y": ("y", "nm"),
                "z": ("z", "nm"),
                f"photon{sign}count": ("intensity", "photon"),
                "precisionx": ("x_precision", "nm"),
                "precisiony": ("y_precision", "nm"),
                "precisionz": ("z_precision", "nm"),
            },
        )
        for sign in "-_"
    ),
    KnownHeader(
        program="rainSTORM",
        telling=frozenset({"frame_idx", "x_coord", "y_coord", "x_std"}),
        columns={
            "x_coord": ("x", "nm"),
            "y_coord": ("y", "nm"),
            "x_std": ("x_precision", "nm"),
            "y_std": ("y_precision", "nm"),
            "i": ("intensity", ""),
            # Of these two no source says the unit, so they do not become lengths.
            "sig_x": ("sig_x", ""),
            "sig_y": ("sig_y", ""),
        },
    ),
)
