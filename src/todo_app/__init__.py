"""The composition root: settings, wiring, the command line, the server.

Between the socket and a handler, a request passes in this order:

1. `server/server.py` accepts the connection; `server/connections.py` and `server/transports.py` bound it.
2. `server/request_reader.py` and `server/framing.py` parse the request; `server/response_cycle.py` runs the application
   for it.
3. With `TODO_TRUSTED_PROXIES`, uvicorn's ProxyHeadersMiddleware (`serving.py`); with traces, the span of the request
   (`compose.py`).
4. `Edge`, `Admission`, `DirectCalls` and `Authentication`, in the order of `todo_adapters/http/application.py`.
"""
