"""Operators: each breaks one kind of object in one way."""
