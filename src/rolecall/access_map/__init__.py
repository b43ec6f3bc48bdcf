"""The access map: what every persona can do, measured, stored in a lock file, and compared."""
