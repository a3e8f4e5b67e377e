"""An ASGI application behind a real server and socket, in a thread of this process: started in a moment."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def serving(app: Any, *, lifespan: str = "on") -> Iterator[str]:
    """Serve the application, and yield its origin."""
    config = uvicorn.Config(app, port=0, http="httptools", ws="none", lifespan=lifespan, log_config=None)
    server = uvicorn.Server(config)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(server.serve())
        except BaseException as failure:  # noqa: BLE001  told to the test below
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), failures or "the application did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
