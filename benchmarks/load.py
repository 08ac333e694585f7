"""A load generator: HTTP/1.1 connections in a process of their own, each with one request after the other.

It uses little CPU: requests are prepared bytes, and only the status and the length of a response are read. It
expects a Content-Length in every response.
"""

import asyncio
import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import uvloop

BROKEN = 0  # the status of a request without a response
PATIENCE_S = 20  # for the last responses


@dataclass(frozen=True)
class Outcome:
    """The count of each status, the duration, and the sorted latencies in ms."""

    statuses: dict[int, int]
    seconds: float
    latencies_ms: list[float]
    client_cpu_s: float

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    @property
    def failed(self) -> dict[int, int]:
        """The statuses that are not 2xx."""
        return {status: count for status, count in self.statuses.items() if not 200 <= status < 300}

    def percentile_ms(self, percent: float) -> float:
        return self.latencies_ms[int(percent / 100 * (len(self.latencies_ms) - 1))]


class Client:
    """The process that sends the load. Each `drive` is one run of it; several may run at once."""

    def __init__(self, processes: ProcessPoolExecutor) -> None:
        self._processes = processes

    def drive(self, port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Outcome:
        return self.start(port, requests, connections=connections, seconds=seconds).result()

    def start(
        self, port: int, requests: Sequence[bytes], *, connections: int, seconds: float
    ) -> Future[Outcome]:
        return self._processes.submit(_drive, port, list(requests), connections, seconds)


@contextmanager
def client(processes: int = 1) -> Iterator[Client]:
    """A client, its processes started on first use."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield Client(pool)


def _drive(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Outcome:
    gc.freeze()
    return uvloop.run(_Run(requests, seconds).through(port, connections))


class _Run:
    """The state of one run: the next request, the end, and the responses."""

    def __init__(self, requests: Sequence[bytes], seconds: float) -> None:
        self.requests = cycle(requests)
        self.seconds = seconds
        self.deadline = 0.0
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    async def through(self, port: int, connections: int) -> Outcome:
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port))[1]
            for _ in range(connections)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        self.deadline = began + self.seconds
        for connection in opened:
            connection.send()
        await asyncio.wait([connection.ended for connection in opened], timeout=self.seconds + PATIENCE_S)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        for connection in opened:
            connection.give_up()
        return Outcome(dict(self.statuses), took, sorted(s * 1000 for s in self.latencies), cpu)


class _Connection(asyncio.Protocol):
    """A connection that sends the next request after each complete response."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head = b""
        self.body_due = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.run.requests))

    def data_received(self, data: bytes) -> None:
        if self.body_due:
            self.body_due -= len(data)
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self.status = int(self.head[9:12])
            self.body_due = end + _content_length(self.head[:end]) - len(self.head)
            self.head = b""
        if self.body_due <= 0:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self.run.statuses[self.status] += 1
        self.run.latencies.append(now - self.sent_at)
        if now < self.run.deadline:
            self.send()
        else:
            self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Count a missing response."""
        if not self.ended.done():
            self.run.statuses[BROKEN] += 1
            self._end()

    def _end(self) -> None:
        self.ended.set_result(None)
        self.transport.close()


def _content_length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after[: after.index(b"\r")])
