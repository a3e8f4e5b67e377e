"""From a transaction to the socket: the pool, the connections that many requests share, the groups of writes."""
