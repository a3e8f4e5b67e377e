"""The HTTP contract over Litestar."""
