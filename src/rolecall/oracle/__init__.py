"""The oracle for the probe: each check once more, as the request that it stands for, committed in a database."""
