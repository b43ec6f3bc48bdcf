"""The oracle of the probe: each check runs again as a client's request, committed in another database."""
