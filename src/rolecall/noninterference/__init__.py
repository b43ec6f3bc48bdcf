"""Noninterference: what a grid does not name in ``decided_by`` must not decide about access."""
