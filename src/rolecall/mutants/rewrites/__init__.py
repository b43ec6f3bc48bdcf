"""Rewrites of SQL, which operators share."""
