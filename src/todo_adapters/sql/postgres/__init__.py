"""The port `Tasks` over PostgreSQL.

A create, from the call to the socket: `store.py` runs `CREATE` of `statements/transactions.py`, which is two
statements: the context, which sets the user and takes the user's lock (`statements/transaction.py`), and `create` of
`statements/writes.py`. `connections/client.py` passes it to `connections/write_groups.py`, which joins it with waiting
writes of other users, and `connections/pipeline.py` sends the group over a connection of `connections/pool.py`, in one
round trip. Through a pooler there are no groups. A create with a uid or an Idempotency-Key has more statements:
`statements/transactions.py` lists every transaction.
"""
