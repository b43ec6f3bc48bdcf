"""The databases of a run: templates, clones, scratch databases, the template cache and the cleanup."""
