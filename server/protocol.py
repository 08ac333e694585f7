"""uvicorn's HTTP/1.1 connection, with the deadlines and limits that uvicorn has no setting for."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.guard import MAX_HEADER_BYTES
from contract.problems import HeadersTooLarge, Problem, RequestTimeout, Unreadable
from contract.rendering import document
from observability.requests import new_request_id

log = logging.getLogger("todo.server")


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with a deadline and a limit for the headers of each request.

    Without them a client that sends half a request holds its connection, or any amount of memory, for ever.
    """

    def __init__(self, *args: Any, header_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timeout_s = header_timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = self._in_trailers = False
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is due."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """The headers are whole; the body has a deadline of its own."""
        self._in_headers = False
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; not a trailer, which would join the headers that are checked already (RFC 9110 6.5.1)."""
        if self._in_headers:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """The size of a chunk. Behind the last one, which is empty, trailers may follow."""
        self._in_trailers = True
        self._header_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._in_trailers = False
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """The end of a chunk, trailers included."""
        self._in_trailers = False

    def data_received(self, data: bytes) -> None:
        """Parse, then see whether headers are still due. A request that comes in one piece sets no timer."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers or self._in_trailers:
            self._header_bytes += len(data)
            if self._header_bytes > 2 * MAX_HEADER_BYTES:  # whole headers over the limit: contract/guard.py
                self._refuse(HeadersTooLarge())
        if self._in_headers or self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is not HTTP, as problem+json."""
        self._refuse(Unreadable())

    def _await_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._header_timeout_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._in_headers:
            self._refuse(RequestTimeout("The headers did not arrive in time."))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer and close. When an earlier request still waits for its own answer, close after that one."""
        if self._has_answer_due():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        request_id = new_request_id()
        self.transport.write(_response(problem, request_id))
        self.transport.close()
        log.info("refused", extra={"status": problem.status, "request_id": request_id})

    def _has_answer_due(self) -> bool:
        """Whether a request that came whole is not answered yet, or one that did not is being answered."""
        cycle = self.cycle
        return not (
            cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        )


def _response(problem: Problem, request_id: str) -> bytes:
    """A whole HTTP/1.1 response."""
    content = document(problem, request_id)
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(content)}",
        "cache-control: no-store",
        "connection: close",
        f"x-request-id: {request_id}",
        "x-content-type-options: nosniff",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content
