"""Drift: compare a database with what the project's SQL makes, and say what differs."""
