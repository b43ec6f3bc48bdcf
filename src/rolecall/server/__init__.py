"""The server of a run: one that already runs, or a throwaway one; and the connections to it."""
