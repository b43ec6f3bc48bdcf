"""SQL text on disk: files, migrations, statements, and PostgreSQL's parse tree."""
