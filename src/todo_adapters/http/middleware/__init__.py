"""The layers between the server and the handlers, in this order: edge, admission, direct_calls, authentication.

`todo_app/__init__.py` lists what runs before them, from the socket on. The other modules are helpers: `cors` of the
edge, `compression` of the edge and of handlers, `rate_limit` of authentication and of calendar feeds, `refusals` of the
edge and of Litestar. `fairness` wraps the store.
"""
