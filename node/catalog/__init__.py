"""What this node knows: records accepted, the current view of them, search."""
