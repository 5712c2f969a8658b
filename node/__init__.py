"""The Locmesh daemon: wires `protocol` and `smlmfmt` to disks, networks and people."""

__version__ = "0.1.0"
