"""Send raw requests over a socket: bytes that no HTTP library would send."""

import contextlib
import re
import select
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit


class RawResponse(NamedTuple):
    """A response. `status` is None when the server closed the connection without one.

    `head` is the status line and every header in one text, repeated headers included.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes
    head: str = ""


NO_RESPONSE = RawResponse(None, {}, b"")


@contextlib.contextmanager
def connect(url: str, *, timeout_s: float = 15) -> Iterator[socket.socket]:
    """Open a connection to the server at `url`. The certificate of an `https` URL is not verified."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=timeout_s) as connection:
        if address.scheme == "https":
            context = ssl._create_unverified_context()
            with context.wrap_socket(connection) as encrypted:
                yield encrypted
        else:
            yield connection


def read_response(connection: socket.socket, method: str = "GET") -> RawResponse:
    """Read the next response. Bytes behind it may be lost: see `read_statuses`."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (HTTPException, ConnectionError):
        return NO_RESPONSE
    fields = response.getheaders()
    head = f"{response.status} {response.reason} {fields}"
    return RawResponse(response.status, {name.lower(): value for name, value in fields}, body, head)


class KeepAliveConnection:
    """A connection that is reused for each exchange, and opened again where the server has closed it."""

    def __init__(self, url: str, *, timeout_s: float = 15) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._stack = contextlib.ExitStack()
        self._socket: socket.socket | None = None

    def exchange(self, raw: bytes) -> RawResponse:
        """Send `raw`, one whole request, and return the response."""
        connection = self._open()
        with contextlib.suppress(ConnectionError):  # the server may reject before it has read all
            connection.sendall(raw)
        response = read_response(connection, raw.partition(b" ")[0].decode("latin-1"))
        if response.status is None or response.headers.get("connection") == "close":
            self.close()
        return response

    def close(self) -> None:
        self._stack.close()
        self._socket = None

    def _open(self) -> socket.socket:
        if self._socket and select.select([self._socket], [], [], 0)[0]:  # no response is due: it was closed
            self.close()
        if self._socket is None:
            self._socket = self._stack.enter_context(connect(self._url, timeout_s=self._timeout_s))
        return self._socket


def read_statuses(connection: socket.socket) -> list[int]:
    """Return the status of every response until the server closes the connection."""
    received = b""
    while more := connection.recv(65_536):
        received += more
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]


def exchange(url: str, raw: bytes) -> RawResponse:
    """Send `raw` on a new connection and return the first response."""
    with connect(url) as connection:
        with contextlib.suppress(ConnectionError):  # the server may reject before it has read all
            connection.sendall(raw)
        return read_response(connection, raw.partition(b" ")[0].decode("latin-1"))
