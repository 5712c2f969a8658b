"""What Locmesh nodes say to one another, without sockets, disk, clock or randomness."""
