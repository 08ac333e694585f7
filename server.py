"""The server around the app: uvicorn, with the deadlines and limits that it has no setting for."""

import asyncio
import gc
import logging
import multiprocessing
import signal
import sys
import tempfile
from functools import partial
from http import HTTPStatus
from socket import socket
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from app import create_app
from contract.guard import MAX_HEADER_BYTES
from contract.problems import HeadersTooLarge, Problem, RequestTimeout, Unreadable
from contract.rendering import document
from observability import logs
from observability.requests import new_request_id
from settings import Settings, hand_down

if TYPE_CHECKING:  # app.py is the first to import it, having silenced a warning
    from connexion import AsyncApp

log = logging.getLogger("todo.server")

KEEP_ALIVE_S = 5
GRACE_S = 5  # of the 8 s after SIGTERM within which the process is to end; longer than any statement


def run(settings: Settings) -> None:
    """Serve until told to stop, and answer what is under way before ending."""
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it anew when it has stopped
    config = uvicorn.Config(
        "server:app_from_environment",
        factory=True,
        lifespan="on",  # what goes wrong in the assembly stops the start
        http=partial(Protocol, header_timeout_s=settings.header_timeout),  # type: ignore[arg-type]
        ws="none",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),  # a client may send them too
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    if settings.workers > 1:
        with tempfile.TemporaryDirectory(prefix="todo-metrics-") as figures:
            hand_down("PROMETHEUS_MULTIPROC_DIR", figures)  # before prometheus_client is imported there
            Workers(config, [config.bind_socket()], figures).run()
    else:
        one = uvicorn.Server(config)
        one.run()
        sys.exit(_end_quickly(0 if one.started else STARTUP_FAILURE))


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Being told to stop is no failure."""
    sys.exit(_end_quickly(0))


def _end_quickly(status: int) -> int:
    """`status`, with nothing left for Python to take apart: the system takes it all back at once.

    It would cost 0.2 to 0.5 s of CPU, and a loaded machine the rest of the 8 s.
    """
    gc.freeze()
    return status


class Workers(Multiprocess):
    """uvicorn's parent of several processes, which keeps the socket open that they have closed on SIGTERM.

    Whoever connects then would wait for an answer that nobody gives. `figures` is the folder where the
    workers leave what they count.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket], figures: str) -> None:
        super().__init__(config, sockets)
        self._figures = figures
        self._pids: set[int | None] = set()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died. What they counted stays, what they had under way does not."""
        super().keep_subprocess_alive()
        pids = {process.pid for process in self.processes}
        for pid in self._pids - pids:
            mark_process_dead(pid, self._figures)
        self._pids = pids

    def terminate_all(self) -> None:
        """Refuse new connections, and tell every worker to end."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def _end_with_parent() -> None:
    """End this worker when its parent is no more: orphans would hold the port against the next start."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, end)


def app_from_environment() -> "AsyncApp":
    """The app of one worker process."""
    _end_with_parent()
    settings = Settings.from_environment()
    logs.configure(settings.log_level, with_colour=not settings.no_color)
    return create_app(settings)


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
