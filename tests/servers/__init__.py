"""Real servers for the tests: PostgreSQL, PgBouncer, a slow network, and any other subprocess."""
