"""The port `Tasks` over PostgreSQL: one round trip for every simple call, on pipelined connections."""
