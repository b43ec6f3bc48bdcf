"""What the server's catalog holds: objects and their definitions."""
