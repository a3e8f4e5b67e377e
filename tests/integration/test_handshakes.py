"""A listener that is about to be closed takes no new connection, and loses none that it has taken."""

import socket
import sys

import pytest

from todo_app.server.handshakes import drop_new_handshakes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can drop the first packet of a connection")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_connection_that_has_begun_is_accepted_and_none_begins_after_it(family, host):
    with socket.create_server((host, 0), family=family) as listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address, timeout=5) as begun:
            drop_new_handshakes(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.05)
            accepted, _ = listener.accept()
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()
            listener.close()
            with accepted:
                begun.sendall(b"still here")
                assert accepted.recv(10) == b"still here"
