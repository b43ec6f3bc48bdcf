"""What a report shows, gathered from the files of the project, a database that is built from them, and the last run."""
