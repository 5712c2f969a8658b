"""What a node does towards other nodes: sync, fetch, mirror, discover."""

from node.peering.service import Peering

__all__ = ["Peering"]
