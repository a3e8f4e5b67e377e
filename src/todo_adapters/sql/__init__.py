"""Tasks in a relational database: one set of statements, SQLite and PostgreSQL."""
