"""Where Postgres comes from: a running server, or a throwaway one."""
