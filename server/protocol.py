"""uvicorn's HTTP/1.1 connection, with deadlines and limits that are no settings of uvicorn."""

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from contract.bodies import HAS_ARRIVED
from contract.guard import MAX_HEADER_BYTES
from contract.problems import HeadersTooLarge, Problem, RequestTimeout, Unavailable, Unreadable
from observability.request_records import new_request_id
from server.flow import Flow, Unsent, reset
from server.rejections import render_rejection

log = logging.getLogger("todo.server")

SLICE_BYTES = 1024  # parsed at a time, so that few requests exceed the limit of the pipeline
UNREAD_TIMEOUT_S = 10
MAX_REJECTIONS_DIVISOR = 8  # an eighth of MAX_CONNECTIONS more connections get a 503
_NOTHING = memoryview(b"")


class Protocol(HttpToolsProtocol):
    """A connection with deadlines and limits for requests, and for responses that the client does not read.

    contract/bodies.py has the deadline and the limit of a body.
    """

    flow: Flow

    def __init__(self, *args: Any, header_timeout_s: float, max_connections: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timeout_s = header_timeout_s
        self._max_connections = max_connections
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = self._in_trailers = self._is_upgrade = self._is_surplus = False
        self._header_bytes = 0
        self._unparsed = _NOTHING
        self._running: RequestResponseCycle | None = None
        self._is_next_due = False
        self._unsent = Unsent(UNREAD_TIMEOUT_S)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, or for the one that is rejected if there are too many connections."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        surplus = len(self.connections) - self._max_connections
        self._is_surplus = surplus > 0
        if surplus > self._max_connections // MAX_REJECTIONS_DIVISOR:
            transport.abort()
        else:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Signal the disconnect to every request. uvicorn signals it to the newest only."""
        self._stop_waiting()
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self._unparsed = _NOTHING
        super().connection_lost(exc)

    def abort_if_unread(self, now: float) -> None:
        """Reset the connection if the client has read nothing of its responses for UNREAD_TIMEOUT_S."""
        if self._unsent.is_stuck(self.transport, now):
            reset(self.transport)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """Start the request, unless it is rejected or its headers are parsed again without Upgrade."""
        self._in_headers = False
        self._is_upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._is_surplus:
            self._reject(Unavailable("The server has too many connections. Try again in a moment."))
        elif not self._is_upgrade:
            super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; ignore a trailer, which would join headers that are checked (RFC 9110 6.5.1)."""
        if self._in_headers:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """Begin a chunk. Trailers may follow the last chunk, which is empty."""
        self._in_trailers = True
        self._header_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._in_trailers = False
        if not self._is_surplus:
            super().on_body(body)

    def on_chunk_complete(self) -> None:
        """End a chunk, with its trailers."""
        self._in_trailers = False

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._is_upgrade and not self._is_surplus:
            self.scope[HAS_ARRIVED] = True  # type: ignore[literal-required]
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse the received bytes. Keep the rest unparsed while the pipeline is full."""
        self._unset_keepalive_if_required()
        self._unparsed = memoryview(b"".join((self._unparsed, data)) if self._unparsed else data)
        self._parse()

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline when the client has read enough of this response."""
        if self.pipeline and self.flow.write_paused:
            self._is_next_due = True
            return
        super().on_response_complete()
        if self._unparsed and not self.transport.is_closing():
            self._parse()
            self.flow.resume_reading()

    def resume_writing(self) -> None:
        """Start the request that waited for the client to read."""
        super().resume_writing()
        if self._is_next_due:
            self._is_next_due = False
            self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Reject malformed HTTP with a problem."""
        self._reject(Unreadable())

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self) -> None:
        """Parse in slices, then set or clear the deadline of the headers."""
        while self._unparsed and not self.flow.is_full() and not self.transport.is_closing():
            data, self._unparsed = self._unparsed[:SLICE_BYTES], self._unparsed[SLICE_BYTES:]
            self._parse_slice(data)
        if self.transport.is_closing():
            self._unparsed = _NOTHING
        elif self._in_headers or self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._stop_waiting()

    def _parse_slice(self, data: memoryview) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._reject(Unreadable())
        else:
            self._count_header_bytes(len(data))

    def _count_header_bytes(self, received: int) -> None:
        if self._in_headers or self._in_trailers:
            self._header_bytes += received
            if self._header_bytes > 2 * MAX_HEADER_BYTES:  # complete headers: contract/guard.py
                self._reject(HeadersTooLarge())

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Parse the request again without Upgrade, because httptools skips the body (RFC 9110 7.8)."""
        if self.transport.is_closing():
            return
        if not self._is_upgrade:  # CONNECT: no HTTP follows
            self._close_after_response()
            return
        version = self.parser.get_http_version().encode()
        head = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self._unparsed = memoryview(b"".join((b"\r\n".join([*head, b"", b""]), rest, self._unparsed)))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def _await_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._header_timeout_s, self._time_out)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        if self._in_headers:
            self._reject(RequestTimeout("The headers did not arrive in time."))
        else:
            self.transport.close()

    def _reject(self, problem: Problem) -> None:
        """Send the problem and close the connection. If a response is due, only close after that response."""
        if self.transport.is_closing():
            return
        if self._is_response_due():
            self._close_after_response()
            return
        request_id = new_request_id()
        self.transport.write(render_rejection(problem, request_id))
        self.transport.close()
        log.info("rejected", extra={"status": problem.status, "request_id": request_id})

    def _close_after_response(self) -> None:
        self._unparsed = _NOTHING
        self.cycle.keep_alive = False
        self.flow.pause_reading()

    def _is_response_due(self) -> bool:
        """Return whether a complete request waits for its response, or a response has begun."""
        cycle = self.cycle
        return not (
            cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        )
