"""The port `Tasks` over a SQLite file: one thread that writes, one that reads."""
