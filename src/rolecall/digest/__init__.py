"""The digest of a run with many failures: one paragraph for each kind of failure, the worst first."""
