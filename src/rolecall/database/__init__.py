"""Databases of a run: templates, clones, scratch databases, the template cache, clean-up."""
