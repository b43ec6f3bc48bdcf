"""Defects, which are mistakes on purpose, and trials, which run tests against a broken schema."""
