"""Access grids: read, probe, explain."""
