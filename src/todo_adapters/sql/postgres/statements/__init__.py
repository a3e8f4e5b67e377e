"""The statements that PostgreSQL receives, and the transactions that they form; no input or output."""
