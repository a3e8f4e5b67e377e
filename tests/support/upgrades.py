"""Requests that wish for another protocol and have a body, as clients really send them: head and body, for TOKEN."""

TITLE = b'{"title":"x"}'
LENGTH = b"Content-Length: 13\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b'd\r\n{"title":"x"}\r\n0\r\n\r\n'
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"

_JSON = b"Authorization: Bearer TOKEN\r\nContent-Type: application/json\r\n"
_JDK = b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n"
_CURL = b"POST /api/me/tasks HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" + UPGRADE
_POST = b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\n" + _JSON
UPGRADES = {
    "HttpClient of the JDK 17": (
        b"POST /api/me/tasks HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 13\r\nHost: x:8000\r\n"
        + _JDK
        + b"Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\n"
        + _JSON
        + b"\r\n",
        TITLE,
    ),
    "HttpClient of the JDK 17 with a stream": (
        b"POST /api/me/tasks HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: x:8000\r\n"
        + _JDK
        + b"Transfer-encoding: chunked\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\n"
        + _JSON
        + b"\r\n",
        CHUNKS,
    ),
    "curl --http2": (_CURL + _JSON + LENGTH + b"\r\n", TITLE),
    "curl --http2 in chunks": (_CURL + CHUNKED + _JSON + b"\r\n", CHUNKS),
    "a websocket": (
        _POST + LENGTH + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        TITLE,
    ),
    "two protocols": (_POST + LENGTH + b"connection: upgrade\r\nupgrade: h2c, TLS/1.0\r\nUpgrade: x\r\n\r\n", TITLE),
    "an old proxy's": (_POST + CHUNKED + b"Proxy-Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", CHUNKS),
    "one that closes": (_POST + LENGTH + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n", TITLE),
}

_INSIDE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
_HEAD = b"POST /health/live HTTP/1.1\r\nHost: x\r\n" + UPGRADE
SMUGGLED = {
    "length": (_HEAD + b"Content-Length: %d\r\n\r\n" % len(_INSIDE), _INSIDE),
    "chunks": (_HEAD + CHUNKED + b"\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(_INSIDE), _INSIDE)),
}
"""A request, answered by 405, whose body looks like another one (CWE-444)."""
