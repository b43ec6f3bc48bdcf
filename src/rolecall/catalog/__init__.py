"""The objects in the server's catalog, and their definitions."""
