"""Access grids: reading, probing, explaining."""
