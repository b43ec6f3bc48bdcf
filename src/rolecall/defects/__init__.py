"""Defects put back on purpose, and the trial that runs tests against a broken schema."""
