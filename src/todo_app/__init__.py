"""The composition root: settings, wiring, the command line, the server.

A request passes `server.py`, `connections.py` and `request_reader.py`, then the application of `compose.py`.
"""
