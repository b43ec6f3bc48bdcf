"""What a block changed: the rows of every table, and the state of the session and the database."""
