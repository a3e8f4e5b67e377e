"""`/docs`: a page that shows the API and tries it with a pasted token. It loads nothing from other hosts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import swagger_ui_bundle  # type: ignore[import-untyped]  # a package of files, whose one name is their folder

from todo_adapters.http.protocol.errors import NoSuchRoute
from todo_adapters.http.protocol.response import Response

if TYPE_CHECKING:
    from pathlib import Path

    from todo_adapters.http.protocol.response import Header

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: it loads from this service and sends to this service only."""

FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "index.css": "text/css",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript",
}
"""The files of the page, with their media types. All but the last come from the package."""

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Todo: the API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/index.css">
<script defer src="docs/swagger-ui-bundle.js"></script>
<script defer src="docs/start.js"></script>
<main id="page"></main>
</html>
"""

_START: Final = b"""// Optional parameters begin empty, because an example would be sent.
function emptied(parameters) {
  for (const parameter of parameters.filter((one) => !one.required)) {
    delete parameter.example;
    delete parameter.examples;
  }
}

fetch("openapi.json")
  .then((response) => response.json())
  .then((spec) => {
    emptied(Object.values(spec.components.parameters));
    for (const path of Object.values(spec.paths))
      for (const operation of Object.values(path)) emptied(operation.parameters);
    SwaggerUIBundle({
      spec,
      dom_id: "#page",
      layout: "BaseLayout",
      deepLinking: true,
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      persistAuthorization: false,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  });
"""

_GUARD: Final[list[Header]] = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
]


def front() -> Response:
    """Redirect from `/` to `/docs`; the reference is relative, so right under any prefix (RFC 3986, section 5.2)."""
    return Response(307, headers=[(b"location", b"docs"), (b"cache-control", b"no-cache")])


def page() -> Response:
    """Return the page."""
    return Response(
        200, _PAGE, [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-cache"), *_GUARD]
    )


def file(name: str) -> Response:
    """Return a file of the page, or raise NoSuchRoute."""
    if name not in FILES:
        raise NoSuchRoute
    return Response(
        200, _read(name), [(b"content-type", FILES[name].encode()), (b"cache-control", b"max-age=3600"), *_GUARD]
    )


@cache
def _read(name: str) -> bytes:
    folder: Path = swagger_ui_bundle.swagger_ui_path
    return _START if name == "start.js" else (folder / name).read_bytes()
