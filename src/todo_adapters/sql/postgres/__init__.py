"""The port `Tasks` over PostgreSQL.

A create, from the call to the socket: `store.py` runs `transactions.CREATE`, which is two statements: the context,
which sets the user and takes the user's lock (`transaction.py`), and `writes.create`. `client.py` passes it to
`write_groups.py`, which joins it with waiting writes of other users, and `pipeline.py` sends the group over a
connection of `pool.py`, in one round trip. Through a pooler there are no groups. A create with a uid or an
Idempotency-Key has more statements: `transactions.py` lists every transaction.
"""
