"""``rolecall watch``: the server and the databases stay up, and a save runs the tests that it concerns."""
