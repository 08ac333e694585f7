"""Standard output for the server's log, written by a thread so that the server never waits for a reader."""

import os
import select
import threading
import time
from collections import deque
from functools import cache
from queue import SimpleQueue
from select import PIPE_BUF

from prometheus_client import Counter

MAX_QUEUED_BYTES = 4 * 1024 * 1024  # about 18,000 requests; a traceback is 30 times as long as a request
DRAIN_TIMEOUT_S = 1  # a worker and then its supervisor: 2 of the 8 s after SIGTERM
BATCH_PAUSE_S = 0.01  # waking the thread for each request would cost 30 to 55 µs of its 150 to 180

_DROPPED = Counter(
    "todo_log_records_dropped", "Log records dropped because nobody read standard output, or it failed."
)


class Output:
    """A queue of lines and the daemon thread that writes them to `descriptor`, in order.

    When the queue is full, the oldest lines are dropped, because the last lines say why the server ended.
    `logging.handlers.QueueListener` is not used: its `stop` waits forever for an output that nobody reads,
    and each record wakes its thread.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._unwritten = 0  # lines, including those being written
        # Reentrant, because the garbage collector may log inside `write` (asyncio logs a lost error).
        self._lock = threading.RLock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        threading.Thread(target=self._run, name="log-output", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Queue a line that ends with a line break. Never wait for the output."""
        size = len(line)
        with self._lock:
            self._lines.append(line)
            self._queued_bytes += size
            self._unwritten += 1
            while self._queued_bytes > MAX_QUEUED_BYTES and len(self._lines) > 1:
                self._take(1)
                self._finish(1, is_written=False)
        if self._wake.empty():
            self._wake.put(None)

    def drain(self) -> None:
        """Wait until every line is written, but at most DRAIN_TIMEOUT_S."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while self._unwritten and time.monotonic() < deadline:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            self._wake.get()
            while lines := self._take(PIPE_BUF):
                self._finish(len(lines), is_written=self._write(b"".join(lines)))
            time.sleep(BATCH_PAUSE_S)

    def _take(self, max_bytes: int) -> list[bytes]:
        """Remove one line from the front of the queue, and more lines up to `max_bytes` in total.

        Several processes write to the same pipe. POSIX does not mix writes of up to PIPE_BUF bytes.
        """
        lines: list[bytes] = []
        size = 0
        with self._lock:
            while self._lines and (not lines or size + len(self._lines[0]) <= max_bytes):
                lines.append(self._lines.popleft())
                size += len(lines[-1])
            self._queued_bytes -= size
        return lines

    def _write(self, data: bytes) -> bool:
        """Write all of `data`. Return False if the output is closed or full."""
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another process has made the descriptor non-blocking
                select.select([], [self._descriptor], [])
            except OSError:  # the reader has closed the pipe, or the disk is full
                return False
        return True

    def _finish(self, lines: int, *, is_written: bool) -> None:
        with self._lock:
            self._unwritten -= lines
            if not is_written:
                _DROPPED.inc(lines)


@cache
def get_standard_output() -> Output:
    """Return the Output of this process. The first call starts its thread."""
    return Output(1)
