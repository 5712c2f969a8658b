"""The labs of the demonstration and their people. All of them are invented.

Their ORCIDs have right check digits but lie in a block that is not given out; their addresses end
in .example, which no one can own.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LABS", "Lab", "Person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who publishes."""

    name: str
    orcid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Who runs a node, and who works there.

    Attributes:
        key: What datasets call the lab.
        name: The node's name.
    """

    key: str
    name: str
    institution: str
    contact: str
    people: tuple[Person, ...]


LABS = (
    Lab(
        key="nordhafen",
        name="Nordhafen nanoscopy",
        institution="Nordhafen Institute for Cell Architecture",
        contact="data@nordhafen.example",
        people=(
            Person(name="Mara Lindquist-Aue", orcid="0009-9999-0000-1011"),
            Person(name="Teodor Aldrin", orcid="0009-9999-0000-102X"),
            Person(name="Ines Okonkwo-Beil", orcid="0009-9999-0000-1038"),
            Person(name="Joris van der Quell", orcid="0009-9999-0000-1046"),
        ),
    ),
    Lab(
        key="valmont",
        name="Institut Valmont",
        institution="Institut Valmont, Imaging and Modelling",
        contact="microscopie@valmont.example",
        people=(
            Person(name="Camille Desrives", orcid="0009-9999-0000-1054"),
            Person(name="Anatole Fresnoy", orcid="0009-9999-0000-1062"),
            Person(name="Salma Benhaddou", orcid="0009-9999-0000-1070"),
            Person(name="Lou Marcelline", orcid="0009-9999-0000-1089"),
        ),
    ),
    Lab(
        key="kestrel",
        name="Kestrel Bay",
        institution="Kestrel Bay Marine Laboratory",
        contact="imaging@kestrelbay.example",
        people=(
            Person(name="Rowan Tidewell", orcid="0009-9999-0000-1097"),
            Person(name="Hana Mizushiro", orcid="0009-9999-0000-110X"),
            Person(name="Emeka Strand", orcid="0009-9999-0000-1118"),
            Person(name="Priya Gullwing", orcid="0009-9999-0000-1126"),
        ),
    ),
)
