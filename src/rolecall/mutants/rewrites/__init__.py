"""Rewrites of SQL that operators share."""
