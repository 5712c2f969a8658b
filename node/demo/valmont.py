"""What the demonstration's second lab publishes: microtubules, and mitochondria in 3D."""

from __future__ import annotations

from dataclasses import replace

from node.demo.description import DemoDataset, cite, describe, field, tags
from smlmfmt.simulate import ALEXA_647, CY3B_PAINT, MEOS2, SILICON_RHODAMINE, Experiment

__all__ = ["DATASETS"]

TUBULIN = Experiment(linkage_nm=12.0, labelling=0.5)
TOM = Experiment(linkage_nm=9.0, labelling=0.6, dimension=3)
GLOX = "buffer:gluox buffer:catalase buffer:mea"
INDIRECT = "labeling-strategy:indirect-immuno-labeling"


DATASETS: tuple[DemoDataset, ...] = (
    describe(
        "valmont",
        {
            "name": "Microtubules in COS-7, dSTORM with Alexa Fluor 647",
            "description": "The microtubule network of two flat COS-7 cells, from the organizing "
            "centre to the edge; dense enough to train a reconstruction network on.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:dstorm cell-line:cos7 structure:microtubules fluorophore:alexa-647 "
                f"{INDIRECT} target-molecule:alpha-tubulin dimension:2d camera:em-ccd "
                f"reconstruction-software:thunderstorm {GLOX} fixation:pfa+gluta"
            ),
            "citation": cite("dstorm", "dyes"),
            "funding": "Fonds Valmont pour l'imagerie 2025-03 (invented)",
            "notes": "Mouse anti-alpha-tubulin and a secondary antibody. Filaments of 25 nm look "
            "about 50 nm wide, with a hollow profile where the precision allows it.",
        },
        by=(0, 1, 3),
        samples={
            "Cell 1": [
                field(
                    "microtubules",
                    "cell-1",
                    seed=201,
                    localizations=260_000,
                    experiment=replace(TUBULIN, field_um=24),
                )
            ],
            "Cell 2, nearer to the edge": [
                field(
                    "microtubules",
                    "cell-2",
                    seed=202,
                    localizations=140_000,
                    experiment=replace(TUBULIN, field_um=16),
                )
            ],
        },
    ),
    describe(
        "valmont",
        {
            "name": "DNA-PAINT of microtubules: the hollow profile in U2OS",
            "description": "DNA-PAINT at about 3 nm precision on beta-tubulin; line profiles "
            "across single filaments show two walls.",
            "license": "CC0-1.0",
            "tags": tags(
                "modality:dna-paint cell-line:u2os structure:microtubules fluorophore:cy3b "
                "labeling-strategy:direct-immuno-labeling target-molecule:beta-tubulin "
                "dimension:2d camera:scmos reconstruction-software:picasso buffer:pbs "
                "fixation:pfa+gluta"
            ),
            "citation": cite("paint"),
            "notes": "Nanobodies with a DNA handle keep the linkage error at 5 nm.",
        },
        by=(1, 2),
        samples={
            "Six filaments": [
                field(
                    "microtubules",
                    "filaments",
                    seed=211,
                    localizations=110_000,
                    experiment=Experiment(
                        field_um=5,
                        fluorophore=CY3B_PAINT,
                        labelling=0.8,
                        linkage_nm=5,
                        unspecific=0.02,
                        drift_nm=1,
                    ),
                )
            ]
        },
    ),
    describe(
        "valmont",
        {
            "name": "Microtubules in 3D in REF52 fibroblasts",
            "description": "Astigmatic 3D STORM of the microtubules that cross over and under "
            "each other in the 800 nm above the coverslip.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:storm cell-line:ref52 structure:microtubules fluorophore:cf680 "
                f"{INDIRECT} target-molecule:alpha-tubulin dimension:3d camera:scmos "
                "reconstruction-software:zola-3d buffer:abbelight-safe-reagent fixation:glyoxal"
            ),
            "citation": cite("astigmatism"),
            "notes": "Colour by z to follow single filaments through their crossings.",
        },
        by=(2, 0, 1),
        samples={
            "Field 1": [
                field(
                    "microtubules",
                    "ref52-3d",
                    seed=221,
                    localizations=190_000,
                    experiment=replace(
                        TUBULIN,
                        field_um=18,
                        dimension=3,
                        fluorophore=replace(ALEXA_647, photons=1900, psf_nm=138),
                    ),
                )
            ]
        },
    ),
    describe(
        "valmont",
        {
            "name": "mEos2-tubulin in MDCK, PALM",
            "description": "Sparse PALM of mEos2-alpha-tubulin: how far filaments can be traced "
            "when one dimer in many is labelled and photons are few.",
            "license": "CC-BY-SA-4.0",
            "tags": tags(
                "modality:palm cell-line:mdck structure:microtubules fluorophore:meos2 "
                "labeling-strategy:transient-transfection target-molecule:alpha-tubulin "
                "dimension:2d camera:em-ccd reconstruction-software:quickpalm buffer:pbs "
                "fixation:4%pfa"
            ),
            "citation": cite("palm"),
            "notes": "A deliberately thin dataset, beside the dense ones of this lab.",
        },
        by=(3, 2),
        samples={
            "Field 1": [
                field(
                    "microtubules",
                    "mdck-palm",
                    seed=231,
                    localizations=60_000,
                    experiment=Experiment(
                        field_um=20, fluorophore=MEOS2, labelling=0.1, linkage_nm=2, unspecific=0.1
                    ),
                )
            ]
        },
    ),
    describe(
        "valmont",
        {
            "name": "TOM22 in U2OS in 3D: the outer membrane of mitochondria",
            "description": "3D dSTORM of the mitochondrial network; tubes of 350 nm appear hollow "
            "in every plane, with TOM22 in clusters.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:dstorm cell-line:u2os structure:mitochondria fluorophore:alexa-647 "
                f"{INDIRECT} target-molecule:tom22 dimension:3d camera:em-ccd "
                f"reconstruction-software:smap {GLOX} fixation:4%pfa"
            ),
            "citation": cite("tom", "astigmatism"),
            "notes": "Two cells from one coverslip, 20 ms exposures, cylindrical lens.",
        },
        by=(0, 2, 1),
        samples={
            "Cell 1, around the nucleus": [
                field(
                    "mitochondria",
                    "tom22-cell-1",
                    seed=241,
                    localizations=230_000,
                    experiment=replace(TOM, field_um=16),
                )
            ],
            "Cell 2, detail": [
                field(
                    "mitochondria",
                    "tom22-cell-2",
                    seed=242,
                    localizations=100_000,
                    experiment=replace(TOM, field_um=8),
                )
            ],
        },
    ),
    describe(
        "valmont",
        {
            "name": "Mitochondria of NIH 3T3 with JF646, HaloTag-TOM22",
            "description": "Large-field 2D imaging of the mitochondrial network for statistics of "
            "length and branching rather than for membrane detail.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:storm cell-line:nih3t3 structure:mitochondria fluorophore:jf-646 "
                "labeling-strategy:halo-tag labeling-strategy:stable-knock-in "
                "target-molecule:tom22 dimension:2d camera:scmos "
                "reconstruction-software:smoiphot buffer:idylle-everspark fixation:4%pfa"
            ),
            "citation": cite("tom"),
            "notes": "A field of 40 um at moderate density.",
        },
        by=(1, 3, 0),
        samples={
            "Field 1": [
                field(
                    "mitochondria",
                    "3t3-field-1",
                    seed=251,
                    localizations=260_000,
                    experiment=replace(
                        TOM, field_um=40, dimension=2, fluorophore=SILICON_RHODAMINE
                    ),
                )
            ]
        },
    ),
)
