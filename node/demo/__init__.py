"""A throw-away federation on one machine, and the simulated datasets its labs publish."""
