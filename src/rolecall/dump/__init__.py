"""Baselines that are dumps: what they have that no test needs is left out, what the server lacks has a stand-in."""
