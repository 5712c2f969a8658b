"""How a simulated dataset is described: the fields of a dataset record, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.catalog import vocabulary
from node.demo.labs import LABS, Lab
from smlmfmt.simulate import Experiment

__all__ = ["PAPERS", "DemoDataset", "Simulation", "cite", "describe", "field", "tags"]

# What the simulated structures and experiments follow.
PAPERS: Final = {
    "pores": (
        (
            "Thevathasan et al., Nuclear pores as versatile reference standards for quantitative "
            "superresolution microscopy, Nature Methods 16, 1045 (2019)"
        ),
        "10.1038/s41592-019-0574-9",
    ),
    "dstorm": (
        (
            "Heilemann et al., Subdiffraction-resolution fluorescence imaging with conventional "
            "fluorescent probes, Angewandte Chemie International Edition 47, 6172 (2008)"
        ),
        "10.1002/anie.200802376",
    ),
    "palm": (
        (
            "Betzig et al., Imaging intracellular fluorescent proteins at nanometer resolution, "
            "Science 313, 1642 (2006)"
        ),
        "10.1126/science.1127344",
    ),
    "paint": (
        (
            "Schnitzbauer et al., Super-resolution microscopy with DNA-PAINT, Nature Protocols 12, "
            "1198 (2017)"
        ),
        "10.1038/nprot.2017.024",
    ),
    "astigmatism": (
        (
            "Huang et al., Three-dimensional super-resolution imaging by stochastic optical "
            "reconstruction microscopy, Science 319, 810 (2008)"
        ),
        "10.1126/science.1153529",
    ),
    "dyes": (
        (
            "Dempsey et al., Evaluation of fluorophores for optimal performance in "
            "localization-based super-resolution imaging, Nature Methods 8, 1027 (2011)"
        ),
        "10.1038/nmeth.1768",
    ),
    "clathrin": (
        (
            "Mund et al., Clathrin coats partially preassemble and subsequently bend during "
            "endocytosis, Journal of Cell Biology 222, e202206038 (2023)"
        ),
        "10.1083/jcb.202206038",
    ),
    "tom": (
        (
            "Wurm et al., Nanoscale distribution of mitochondrial import receptor Tom20 is "
            "adjusted to cellular conditions and exhibits an inner-cellular gradient, "
            "PNAS 108, 13546 (2011)"
        ),
        "10.1073/pnas.1107553108",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One file of one sample, and how to make its table with smlmfmt.simulate."""

    sample: str
    file: str
    structure: str
    seed: int
    localizations: int
    experiment: Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDataset:
    """One dataset: which lab publishes it, its fields as --meta files name them, its files."""

    lab: str
    metadata: dict[str, Any]
    files: tuple[Simulation, ...]


def describe(
    lab_key: str,
    fields: dict[str, Any],
    *,
    by: Sequence[int],
    samples: dict[str, Sequence[Simulation]],
) -> DemoDataset:
    """Return a dataset whose people, contact and documentation follow from its lab and files.

    Args:
        lab_key: The lab that publishes it.
        fields: name, description, license, tags, citation, notes and what else is special.
        by: Places of the authors among the lab's people; the last one uploads.
        samples: What each sample shows -> its files.
    """
    lab = next(lab for lab in LABS if lab.key == lab_key)
    files = tuple(file for entries in samples.values() for file in entries)
    notes = fields.pop("notes")
    metadata: dict[str, Any] = {
        "authors": [
            {"name": p.name, "affiliation": lab.institution, "orcid": p.orcid}
            for p in (lab.people[index] for index in by)
        ],
        "uploaded_by": lab.people[by[-1]].name,
        "contact": lab.contact,
        "documentation": _documentation(lab, notes=notes, files=files),
        "samples": [
            {"name": entries[0].sample, "description": text} for text, entries in samples.items()
        ],
        "visibility": "public",
    }
    return DemoDataset(lab=lab.key, metadata=metadata | fields, files=files)


def field(
    structure: str, sample: str, *, seed: int, localizations: int, experiment: Experiment
) -> Simulation:
    """Return a sample's one file, named after it."""
    return Simulation(
        sample=sample,
        file=f"{sample}.smlm",
        structure=structure,
        seed=seed,
        localizations=localizations,
        experiment=experiment,
    )


def tags(text: str) -> list[dict[str, str]]:
    """Return tags, each with label and CURIE, from `category:term` words between blanks."""
    found = []
    for word in text.split():
        category, _, term = word.partition(":")
        assert vocabulary.term(category, term) == term, f"{word} is not in the vocabulary"
        tag = {"category": category, "term": term, "label": vocabulary.label(category, term)}
        curie = vocabulary.curie(category, term)
        found.append(tag | ({"curie": curie} if curie else {}))
    return found


def cite(*papers: str) -> list[dict[str, str]]:
    """Return citations of PAPERS."""
    return [{"text": PAPERS[paper][0], "doi": PAPERS[paper][1]} for paper in papers]


def _documentation(lab: Lab, *, notes: str, files: Sequence[Simulation]) -> str:
    rows = "\n".join(
        f"| {file.sample} | `{file.file}` | {file.experiment.field_um:g} x "
        f"{file.experiment.field_um:g} um | {file.localizations:,} | {file.seed} |"
        for file in files
    )
    first = files[0].experiment
    dye = first.fluorophore
    return (
        f"{notes}\n\n"
        "## Acquisition\n\n"
        f"- {dye.photons:g} photons per emitter and frame (median), "
        f"{dye.background:g} background photons per pixel\n"
        f"- Pixel size {first.pixel_nm:g} nm, PSF standard deviation {dye.psf_nm:g} nm in focus\n"
        f"- Labelling efficiency {first.labelling:.0%}, linkage error {first.linkage_nm:g} nm\n"
        f"- Residual drift {first.drift_nm:g} nm after correction\n\n"
        "## Files\n\n"
        "| Sample | File | Field of view | Localizations | Seed |\n"
        "|---|---|---|---:|---:|\n"
        f"{rows}\n\n"
        "Lengths are in nm; frames count from 1. `uncertainty_xy` is the theoretical precision of "
        "a maximum-likelihood fit.\n\n"
        "## Please note\n\n"
        f"This is **simulated** data that Locmesh made for its demonstration. {lab.institution} "
        "and its people do not exist, and nothing here was measured. The same seed always gives "
        "the same table.\n"
    )
