"""Raw requests over a socket, for what clients' libraries cannot or will not send."""

import contextlib
import re
import select
import socket
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

CANARY = "canary-5f1d77"
"""Stands in each raw request; no answer may hold it."""


class Answer(NamedTuple):
    """What came back. `status` is None when the server closed without a word.

    `head` is the status line and every header in one text, those that came twice included.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes
    head: str = ""


SILENCE = Answer(None, {}, b"")


@contextlib.contextmanager
def connected(url: str, *, timeout_s: float = 15) -> Iterator[socket.socket]:
    """A connection to the server at `url`."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=timeout_s) as wire:
        yield wire


def read(wire: socket.socket, method: str = "GET") -> Answer:
    """The next answer. What is sent behind it may be lost: see `read_statuses`."""
    response = HTTPResponse(wire, method=method)
    try:
        response.begin()
        body = response.read()
    except (HTTPException, ConnectionError):
        return SILENCE
    fields = response.getheaders()
    head = f"{response.status} {response.reason} {fields}"
    return Answer(response.status, {name.lower(): value for name, value in fields}, body, head)


class Line:
    """A connection that is kept from one exchange to the next; a new one where the server has closed it."""

    def __init__(self, url: str, *, timeout_s: float = 15) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._stack = contextlib.ExitStack()
        self._wire: socket.socket | None = None

    def exchange(self, raw: bytes) -> Answer:
        """The answer to `raw`, one whole request, sent as it is."""
        wire = self._open()
        with contextlib.suppress(ConnectionError):  # the server may refuse before it has read all
            wire.sendall(raw)
        answer = read(wire, raw.partition(b" ")[0].decode("latin-1"))
        if answer.status is None or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        self._stack.close()
        self._wire = None

    def _open(self) -> socket.socket:
        if self._wire and select.select([self._wire], [], [], 0)[0]:  # nothing is due: that is its end
            self.close()
        if self._wire is None:
            self._wire = self._stack.enter_context(connected(self._url, timeout_s=self._timeout_s))
        return self._wire


def read_statuses(wire: socket.socket) -> list[int]:
    """Those of every answer until the server closes the connection."""
    received = b""
    while more := wire.recv(65_536):
        received += more
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]


def exchange(url: str, raw: bytes) -> Answer:
    """The first answer to `raw`, sent as it is."""
    with connected(url) as wire:
        with contextlib.suppress(ConnectionError):  # the server may refuse before it has read all
            wire.sendall(raw)
        return read(wire, raw.partition(b" ")[0].decode("latin-1"))
