"""What the docs promise, tried for some twenty minutes: ``make torture``."""
