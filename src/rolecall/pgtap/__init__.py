"""Grids as pgTAP tests."""
