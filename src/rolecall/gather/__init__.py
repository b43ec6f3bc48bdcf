"""What a report shows, gathered: from the project's files, a database that is built from them, and the last run."""
