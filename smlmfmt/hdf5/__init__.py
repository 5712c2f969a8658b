"""HDF5 files from strangers: what is in them, and the numbers of their datasets.

The structure is told by a process of its own (`describe`, run by `process`), for libhdf5 may crash
or hang on a damaged file; the numbers are read here, at the offsets it gives (`rows`).
"""

from smlmfmt.hdf5.file import Dataset, Hdf5File, is_hdf5, sniff

__all__ = ["Dataset", "Hdf5File", "is_hdf5", "sniff"]
