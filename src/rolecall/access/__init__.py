"""Personas, their sessions, and the world of example rows."""
