"""The HTTP API over Litestar. `application.py` lists in order what runs between the server and a handler."""
