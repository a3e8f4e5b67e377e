"""The stores in SQL databases: the tables and statements that both engines share, `sqlite/` and `postgres/`."""
