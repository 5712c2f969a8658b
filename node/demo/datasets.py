"""Every dataset of the demonstration, by lab."""

from __future__ import annotations

from node.demo import kestrel, nordhafen, valmont
from node.demo.description import DemoDataset
from smlmfmt.simulate import simulate
from smlmfmt.table import LocTable

__all__ = ["DATASETS", "make_tables"]

DATASETS: tuple[DemoDataset, ...] = (*nordhafen.DATASETS, *valmont.DATASETS, *kestrel.DATASETS)


def make_tables(dataset: DemoDataset) -> list[tuple[str, str, LocTable]]:
    """Return (sample, file name, table) of each file of the dataset; always the same."""
    return [
        (
            file.sample,
            file.file,
            simulate(
                file.structure,
                seed=file.seed,
                localizations=file.localizations,
                experiment=file.experiment,
            ),
        )
        for file in dataset.files
    ]
