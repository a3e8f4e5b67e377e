"""The port `Tasks` over PostgreSQL.

`transactions.py` lists every transaction that is sent, such as that of a create; its statements are in `writes.py`.
`client.py` sends the transactions, over the connections of `pool.py` and `pipeline.py`.
"""
