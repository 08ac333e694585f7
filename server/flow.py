"""Bounds what the server reads from a connection, and how long it waits for a client that does not read."""

import fcntl
import socket
import struct
import termios
from asyncio import Transport
from collections.abc import Sized

from uvicorn.protocols.http.flow_control import FlowControl

MAX_PIPELINED = 16  # requests that wait for the response to an earlier request


class Flow(FlowControl):
    """uvicorn's flow control, which does not read while the pipeline is full."""

    def __init__(self, transport: Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def is_full(self) -> bool:
        """Return whether MAX_PIPELINED requests wait."""
        return len(self._pipeline) >= MAX_PIPELINED

    def resume_reading(self) -> None:
        """Read on, unless the pipeline is full."""
        if not self.is_full():
            super().resume_reading()


class Unsent:
    """The number of bytes that the client has not received, and since when it is unchanged."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._bytes = 0
        self._since_s = 0.0

    def is_stuck(self, transport: Transport, now_s: float) -> bool:
        """Return whether the write buffer is not empty and did not change for the timeout.

        The buffer grows only while the client reads, because the app waits when the buffer is full.
        """
        buffered = transport.get_write_buffer_size()
        unsent = buffered + _count_unacknowledged(transport) if buffered else 0
        if unsent != self._bytes:
            self._bytes, self._since_s = unsent, now_s
        return unsent > 0 and now_s - self._since_s > self._timeout_s


def reset(transport: Transport) -> None:
    """Close the connection and drop unsent bytes.

    Without SO_LINGER the system keeps up to 4 MB of them until the client closes the connection.
    """
    at_once = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()


def _count_unacknowledged(transport: Transport) -> int:
    """Return the number of bytes in the buffer of the socket, 0 if the system cannot tell."""
    try:
        packed = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", packed)[0])
