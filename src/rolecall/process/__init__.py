"""One process of a run: how it starts and how it ends."""
