"""What the demonstration's first lab publishes: nuclear pores and their reference standards."""

from __future__ import annotations

from dataclasses import replace

from node.demo.description import DemoDataset, cite, describe, field, tags
from smlmfmt.simulate import ALEXA_647, CY3B_PAINT, MEOS2, SILICON_RHODAMINE, Experiment

__all__ = ["DATASETS"]

PORE = Experiment(linkage_nm=3.0, labelling=0.62)
CELL = "cell-line:u2os structure:nuclear-pore-complex"
GLOX = "buffer:gluox buffer:catalase buffer:mea"
SNAP = "labeling-strategy:endogenous-crispr-labeling labeling-strategy:snap-tag"


DATASETS: tuple[DemoDataset, ...] = (
    describe(
        "nordhafen",
        {
            "name": "Nup96 in U2OS, dSTORM: a whole nucleus as a reference standard",
            "description": "Nuclear pore complexes of the lower nuclear envelope of a U2OS cell "
            "with endogenously tagged Nup96-SNAP, at single-ring resolution over a whole nucleus.",
            "license": "CC-BY-4.0",
            "tags": tags(
                f"modality:dstorm {CELL} fluorophore:alexa-647 {SNAP} target-molecule:nup96 "
                f"dimension:2d camera:em-ccd reconstruction-software:smap {GLOX} fixation:4%pfa"
            ),
            "citation": cite("pores", "dstorm"),
            "funding": "Nordhafen Foundation, grant NF-2024-017 (invented)",
            "notes": "A homozygous Nup96-SNAP line, labelled with BG-Alexa Fluor 647. Each pore "
            "shows eight corners at 53.5 nm from its axis: measure them to check a microscope's "
            "resolution, labelling efficiency and drift correction.",
        },
        by=(0, 1, 2),
        samples={
            "A whole nucleus in focus at the coverslip": [
                field(
                    "nuclear_pores",
                    "nucleus-1",
                    seed=101,
                    localizations=200_000,
                    experiment=replace(PORE, field_um=18),
                )
            ],
            "The middle of another nucleus, more blinks per pore": [
                field(
                    "nuclear_pores",
                    "detail-1",
                    seed=102,
                    localizations=90_000,
                    experiment=replace(PORE, field_um=4),
                )
            ],
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "Nup96 in U2OS in 3D: both rings of the nuclear pore",
            "description": "Astigmatic 3D dSTORM of Nup96-SNAP; the cytoplasmic and the nuclear "
            "ring, 50 nm apart, separate in side view.",
            "license": "CC-BY-4.0",
            "tags": tags(
                f"modality:dstorm {CELL} fluorophore:alexa-647 {SNAP} target-molecule:nup96 "
                f"dimension:3d camera:scmos reconstruction-software:smap {GLOX} fixation:4%pfa"
            ),
            "citation": cite("pores", "astigmatism"),
            "notes": "A cylindrical lens separates the two foci by 520 nm. The envelope rises "
            "towards the rim of the nucleus, where pores are seen from the side.",
        },
        by=(1, 3, 0),
        samples={
            "Whole nucleus, 3D": [
                field(
                    "nuclear_pores",
                    "nucleus-3d",
                    seed=111,
                    localizations=190_000,
                    experiment=replace(
                        PORE,
                        field_um=14,
                        dimension=3,
                        fluorophore=replace(ALEXA_647, photons=2600, background=18),
                    ),
                )
            ]
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "DNA-PAINT of Nup96 at 3 nm: eight corners, two copies each",
            "description": "Long DNA-PAINT movies of single nuclear pores with a median precision "
            "of about 3 nm, for particle averaging and for teaching.",
            "license": "CC0-1.0",
            "tags": tags(
                f"modality:dna-paint {CELL} fluorophore:cy3b "
                "labeling-strategy:endogenous-crispr-labeling labeling-strategy:halo-tag "
                "target-molecule:nup96 dimension:2d camera:scmos "
                "reconstruction-software:picasso buffer:pbs fixation:4%pfa"
            ),
            "citation": cite("paint", "pores"),
            "notes": "Nup96-Halo with a DNA-conjugated ligand and Cy3B imagers. Binding never "
            "bleaches out, so every site is seen many times and the localizations of a site "
            "outline its precision.",
        },
        by=(2, 3),
        samples={
            "About 40 pores": [
                field(
                    "nuclear_pores",
                    "paint-detail",
                    seed=121,
                    localizations=100_000,
                    experiment=Experiment(
                        field_um=3,
                        fluorophore=CY3B_PAINT,
                        labelling=0.75,
                        linkage_nm=1.5,
                        unspecific=0.015,
                        drift_nm=1.0,
                    ),
                )
            ]
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "Labelling efficiency series on nuclear pores: 30, 60 and 90 %",
            "description": "The same nuclear pores with three labelling efficiencies: a benchmark "
            "for counting corners and for algorithms that correct for missing labels.",
            "license": "CC0-1.0",
            "tags": tags(
                f"modality:dstorm {CELL} fluorophore:alexa-647 {SNAP} target-molecule:nup96 "
                f"dimension:2d camera:em-ccd reconstruction-software:thunderstorm {GLOX} "
                "fixation:4%pfa"
            ),
            "citation": cite("pores", "dyes"),
            "notes": "Three samples that differ in nothing but the part of Nup96-SNAP that "
            "carries a working dye. The number of corners seen per pore follows from it; compare.",
        },
        by=(3, 2, 1),
        samples={
            "30 % of sites labelled": [
                field(
                    "nuclear_pores",
                    "labelled-30",
                    seed=131,
                    localizations=40_000,
                    experiment=replace(PORE, field_um=6, labelling=0.3),
                )
            ],
            "60 % of sites labelled": [
                field(
                    "nuclear_pores",
                    "labelled-60",
                    seed=131,
                    localizations=80_000,
                    experiment=replace(PORE, field_um=6, labelling=0.6),
                )
            ],
            "90 % of sites labelled": [
                field(
                    "nuclear_pores",
                    "labelled-90",
                    seed=131,
                    localizations=120_000,
                    experiment=replace(PORE, field_um=6, labelling=0.9),
                )
            ],
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "Nup133 in HeLa by indirect immunolabelling",
            "description": "Two antibodies between epitope and dye: what a linkage error of 17 nm "
            "leaves of the eightfold symmetry of the nuclear pore.",
            "license": "CC-BY-SA-4.0",
            "tags": tags(
                "modality:storm cell-line:hela structure:nuclear-pore-complex fluorophore:cy5 "
                "labeling-strategy:indirect-immuno-labeling target-molecule:nup133 dimension:2d "
                "camera:em-ccd reconstruction-software:quickpalm buffer:gluox buffer:mea "
                "fixation:methanol"
            ),
            "citation": cite("dyes"),
            "notes": "Rabbit anti-Nup133, then a secondary antibody with Cy5. Rings are visible, "
            "their corners are not: put it beside the SNAP-tag data.",
        },
        by=(0, 3),
        samples={
            "Part of a nucleus": [
                field(
                    "nuclear_pores",
                    "hela-nup133",
                    seed=141,
                    localizations=140_000,
                    experiment=Experiment(
                        field_um=10,
                        linkage_nm=17,
                        labelling=0.4,
                        unspecific=0.06,
                        drift_nm=5,
                        fluorophore=replace(ALEXA_647, photons=750, background=30),
                    ),
                )
            ]
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "Nup96-mEos2 in COS-7, PALM",
            "description": "Nuclear pores with a photoconvertible protein: fewer photons, one "
            "colour, no buffer, and a precision of some 12 nm.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:palm cell-line:cos7 structure:nuclear-pore-complex fluorophore:meos2 "
                "labeling-strategy:transient-transfection target-molecule:nup96 dimension:2d "
                "camera:em-ccd reconstruction-software:thunderstorm buffer:pbs fixation:pfa+gluta"
            ),
            "citation": cite("palm"),
            "notes": "Transient expression, so labelling is partial. Localizations are not merged "
            "over frames.",
        },
        by=(1, 0),
        samples={
            "Nucleus of one cell": [
                field(
                    "nuclear_pores",
                    "cos7-meos2",
                    seed=151,
                    localizations=110_000,
                    experiment=Experiment(
                        field_um=15,
                        fluorophore=MEOS2,
                        labelling=0.35,
                        linkage_nm=3,
                        unspecific=0.04,
                    ),
                )
            ]
        },
    ),
    describe(
        "nordhafen",
        {
            "name": "Self-blinking HMSiR on Nup96: no thiol, no scavenger",
            "description": "Spontaneously blinking silicon rhodamine on Nup96-Halo in plain "
            "buffer, shared with partner labs while the manuscript is in review.",
            "license": "CC-BY-NC-4.0",
            "visibility": "members",
            "tags": tags(
                f"modality:dstorm {CELL} fluorophore:hmsir labeling-strategy:halo-tag "
                "labeling-strategy:stable-knock-in target-molecule:nup96 dimension:2d "
                "camera:scmos reconstruction-software:smap buffer:pbs fixation:glyoxal"
            ),
            "citation": cite("pores", "dyes"),
            "notes": "For partners of the network only: this dataset shows that `members` data "
            "are found by approved nodes and by nobody else.",
        },
        by=(2, 0, 1),
        samples={
            "Whole nucleus": [
                field(
                    "nuclear_pores",
                    "hmsir-nucleus",
                    seed=161,
                    localizations=100_000,
                    experiment=replace(PORE, field_um=16, fluorophore=SILICON_RHODAMINE),
                )
            ]
        },
    ),
)
