"""Conditions: whether the world has a row and a persona for which each condition of the schema decides."""
