"""The composition root: settings, wiring, the command line, the server.

Between the socket and a handler, a request passes in this order:

1. `server.py` accepts the connection; `connections.py` and `transports.py` bound it.
2. `request_reader.py` and `framing.py` parse the request; `response_cycle.py` runs the application for it.
3. With `TODO_TRUSTED_PROXIES`, uvicorn's ProxyHeadersMiddleware (`serving.py`); with traces, the span of the request
   (`compose.py`).
4. `Edge`, `Admission`, `DirectCalls` and `Authentication`, in the order of `todo_adapters/http/application.py`.
"""
