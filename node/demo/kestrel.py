"""What the demonstration's third lab publishes: endocytosis, and comparisons between dyes."""

from __future__ import annotations

from dataclasses import replace

from node.demo.description import DemoDataset, cite, describe, field, tags
from smlmfmt.simulate import ALEXA_647, CY3B_PAINT, MEOS2, Experiment

__all__ = ["DATASETS"]

PIT = Experiment(linkage_nm=10.0, labelling=0.55, unspecific=0.03)
GLOX = "buffer:gluox buffer:catalase buffer:mea"
CHC = "structure:clathrin target-molecule:clathrin-heavy-chain"


DATASETS: tuple[DemoDataset, ...] = (
    describe(
        "kestrel",
        {
            "name": "Clathrin-coated pits in HeLa, dSTORM",
            "description": "Clathrin heavy chain at the lower membrane: pits from flat patch to "
            "closed vesicle, mostly seen as rings of 100 to 180 nm.",
            "license": "CC-BY-4.0",
            "tags": tags(
                f"modality:dstorm cell-line:hela {CHC} fluorophore:alexa-647 "
                "labeling-strategy:indirect-immuno-labeling dimension:2d camera:em-ccd "
                f"reconstruction-software:thunderstorm {GLOX} fixation:4%pfa"
            ),
            "citation": cite("clathrin", "dstorm"),
            "notes": "Two cells of one coverslip. Small clusters between the pits are single "
            "triskelia and short chains of them.",
        },
        by=(0, 1),
        samples={
            "Cell 1": [
                field(
                    "clathrin",
                    "hela-1",
                    seed=301,
                    localizations=170_000,
                    experiment=replace(PIT, field_um=15),
                )
            ],
            "Cell 2, detail": [
                field(
                    "clathrin",
                    "hela-2",
                    seed=302,
                    localizations=90_000,
                    experiment=replace(PIT, field_um=6),
                )
            ],
        },
    ),
    describe(
        "kestrel",
        {
            "name": "Curvature of clathrin coats in 3D",
            "description": "3D DNA-PAINT of clathrin coats; fit a cap to each pit and read its "
            "closing angle.",
            "license": "CC-BY-4.0",
            "tags": tags(
                f"modality:dna-paint cell-line:u2os {CHC} fluorophore:cy3b "
                "labeling-strategy:direct-immuno-labeling dimension:3d camera:scmos "
                "reconstruction-software:picasso buffer:pbs fixation:pfa+gluta"
            ),
            "citation": cite("clathrin", "paint", "astigmatism"),
            "funding": "Kestrel Bay Trust, small boats programme (invented)",
            "notes": "About 100 pits. Axial precision is near 8 nm, so that domes and spheres "
            "differ plainly in side view.",
        },
        by=(1, 2, 0),
        samples={
            "Field 1": [
                field(
                    "clathrin",
                    "paint-3d",
                    seed=311,
                    localizations=150_000,
                    experiment=Experiment(
                        field_um=9,
                        dimension=3,
                        fluorophore=CY3B_PAINT,
                        labelling=0.7,
                        linkage_nm=4,
                        drift_nm=1.5,
                    ),
                )
            ]
        },
    ),
    describe(
        "kestrel",
        {
            "name": "Clathrin light and dark: PA-mCherry in MEF, PALM",
            "description": "A low-photon dataset of clathrin in mouse fibroblasts, published for "
            "people who test clustering methods at poor precision.",
            "license": "CC0-1.0",
            "tags": tags(
                f"modality:palm cell-line:mef {CHC} fluorophore:pa-mcherry "
                "labeling-strategy:transient-transfection dimension:2d camera:em-ccd "
                "reconstruction-software:quickpalm buffer:pbs fixation:1%pfa"
            ),
            "citation": cite("palm", "clathrin"),
            "notes": "One localization in ten lies outside any structure, on purpose.",
        },
        by=(2, 3),
        samples={
            "Field 1": [
                field(
                    "clathrin",
                    "mef-palm",
                    seed=321,
                    localizations=80_000,
                    experiment=replace(
                        PIT,
                        field_um=12,
                        unspecific=0.1,
                        linkage_nm=3,
                        fluorophore=replace(MEOS2, photons=260),
                    ),
                )
            ]
        },
    ),
    describe(
        "kestrel",
        {
            "name": "One network, three dyes: Alexa 555, Alexa 647 and Cy3B on microtubules",
            "description": "The same microtubules with dyes of different brightness: what photons "
            "alone do to precision and to the picture.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:dstorm modality:dna-paint cell-line:u373 structure:microtubules "
                "fluorophore:alexa-555 fluorophore:alexa-647 fluorophore:cy3b "
                "labeling-strategy:indirect-immuno-labeling target-molecule:alpha-tubulin "
                f"dimension:2d camera:scmos reconstruction-software:thunderstorm {GLOX} "
                "fixation:methanol"
            ),
            "citation": cite("dyes"),
            "notes": "All three samples have the same filaments and the same labelled sites per "
            "length; only the dye differs. Compare `intensity` and `uncertainty_xy`.",
        },
        by=(3, 0, 1),
        samples={
            "Alexa Fluor 555, few photons": [
                field(
                    "microtubules",
                    "alexa-555",
                    seed=331,
                    localizations=110_000,
                    experiment=Experiment(
                        field_um=10,
                        linkage_nm=12,
                        fluorophore=replace(ALEXA_647, photons=380, psf_nm=118, background=30),
                    ),
                )
            ],
            "Alexa Fluor 647": [
                field(
                    "microtubules",
                    "alexa-647",
                    seed=331,
                    localizations=110_000,
                    experiment=Experiment(field_um=10, linkage_nm=12),
                )
            ],
            "Cy3B, DNA-PAINT": [
                field(
                    "microtubules",
                    "cy3b",
                    seed=331,
                    localizations=110_000,
                    experiment=Experiment(field_um=10, linkage_nm=12, fluorophore=CY3B_PAINT),
                )
            ],
        },
    ),
    describe(
        "kestrel",
        {
            "name": "Mitochondria of HeLa in 3D, DNA-PAINT on SNAP-TOM22",
            "description": "3D DNA-PAINT of mitochondria at about 4 nm lateral precision, with the "
            "clusters of TOM22 resolved on the tube walls.",
            "license": "CC-BY-4.0",
            "tags": tags(
                "modality:dna-paint cell-line:hela structure:mitochondria fluorophore:cy3b "
                "labeling-strategy:snap-tag target-molecule:tom22 dimension:3d camera:scmos "
                "reconstruction-software:picasso buffer:pbs fixation:pfa+gluta"
            ),
            "citation": cite("tom", "paint"),
            "notes": "A smaller field at high sampling, made to be turned around in 3D.",
        },
        by=(0, 2),
        samples={
            "Field 1": [
                field(
                    "mitochondria",
                    "snap-tom22",
                    seed=341,
                    localizations=200_000,
                    experiment=Experiment(
                        field_um=10,
                        dimension=3,
                        fluorophore=CY3B_PAINT,
                        labelling=0.7,
                        linkage_nm=3,
                        drift_nm=1,
                    ),
                )
            ]
        },
    ),
)
