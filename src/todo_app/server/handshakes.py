"""The end of a port: how a listener stops taking connections without resetting one that it has taken."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from typing import Final

_ATTACH_FILTER: Final = 26
"""SO_ATTACH_FILTER of Linux, which Python does not name."""

_FLAGS: Final = 13
"""The offset of the byte with the flags in a TCP header (RFC 9293, section 3.1)."""

_SYN: Final = 0x02

# Each instruction of a socket filter: operation, offsets of the next one if true and if false, operand.
_DROP_SYN: Final = (
    struct.pack("=HBBI", 0x30, 0, 0, _FLAGS)  # load the byte
    + struct.pack("=HBBI", 0x45, 0, 1, _SYN)  # is this bit set?
    + struct.pack("=HBBI", 0x06, 0, 0, 0)  # keep 0 bytes: drop the packet
    + struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)  # keep it whole
)
_INSTRUCTIONS: Final = len(_DROP_SYN) // 8


def drop_new_handshakes(listener: socket.socket) -> None:
    """Have the kernel drop the first packet of every new connection; those that it has begun can be accepted.

    Closing a listener resets the connections in its backlog, and without this, one may come between the last `accept`
    and `close`. The client repeats a dropped packet after a second and is then refused by the closed port. Only Linux
    can do this; elsewhere the call does nothing.
    """
    program = ctypes.create_string_buffer(_DROP_SYN)
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", _INSTRUCTIONS, ctypes.addressof(program))
        )
