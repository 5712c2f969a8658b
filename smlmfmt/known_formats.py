"""All formats, in the order in which a file is tried."""

from __future__ import annotations

from smlmfmt import (
    abbelight,
    challenge,
    decode,
    decode_csv,
    delimited,
    insight3,
    locan,
    malk,
    minflux,
    nanoimager,
    nstorm,
    parquet,
    picasso,
    pyme,
    pyminflux,
    quickpalm,
    rapidstorm,
    smap,
    smap_csv,
    smite,
    smlm,
    thunderstorm,
    trackmate,
    tsf,
    zeiss,
)
from smlmfmt.format import Format

__all__ = ["KNOWN"]

# In the order of detection: the particular before the general.
KNOWN: dict[str, Format] = {
    item.info.name: item
    for item in (
        smlm.FORMAT,
        picasso.FORMAT,
        decode.FORMAT,
        smap.FORMAT,
        rapidstorm.FORMAT,
        decode_csv.FORMAT,
        trackmate.FORMAT,
        nstorm.FORMAT,
        quickpalm.FORMAT,
        zeiss.FORMAT,
        zeiss.FORMAT_CSV,
        nanoimager.FORMAT,
        pyme.FORMAT,
        minflux.FORMAT,
        smite.FORMAT,
        locan.FORMAT,
        insight3.FORMAT,
        parquet.FORMAT,
        tsf.FORMAT,
        pyminflux.FORMAT,
        abbelight.FORMAT,
        thunderstorm.FORMAT,
        thunderstorm.FORMAT_XLS,
        challenge.FORMAT,
        smap_csv.FORMAT,
        malk.FORMAT,
        delimited.FORMAT,
    )
}
