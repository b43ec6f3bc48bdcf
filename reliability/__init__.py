"""Experiments that try what the documentation promises, for about twenty minutes: ``make torture``."""
