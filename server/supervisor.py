"""The supervisor of several worker processes: it starts them, replaces those that die, and stops them."""

import logging
import signal
import time
from socket import socket

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from server.stopping import Server, end

log = logging.getLogger("todo.server")

MAX_UNANSWERED = 10  # rounds of 0.5 s
YOUNG_S = 30  # a worker that lives longer has not died of its startup
DELAYS_S = (0, 1, 2, 4, 8, 10)
STOP_S = 6.2  # a worker takes 5 for requests and 1 for log records, unless it does not react to SIGTERM


class Worker(Process):
    """A worker process of uvicorn, which is pinged without waiting for its answer."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.born_at = time.monotonic()
        self._has_answered = False
        self._unanswered = 0

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve, and write the last log records. Runs in the worker process."""
        signal.signal(signal.SIGTERM, end)  # uvicorn raises it again when it has stopped
        self._server = Server(self.config)
        try:
            super().target(sockets)
        finally:
            logging.shutdown()

    def is_alive(self, timeout: float = 0) -> bool:
        """Return False when the process has ended, or does not answer any more.

        The first answer may come late: the worker imports its modules before, perhaps with a tenth of a CPU.
        Rounds are counted and not seconds, because a paused container stops the supervisor as well.
        """
        if not self.process.is_alive():
            return False
        if self.parent_conn.poll(timeout):
            self.parent_conn.recv()
            self._has_answered, self._unanswered = True, 0
        if self._unanswered == 0:
            self.parent_conn.send(b"ping")
        self._unanswered += 1
        return not self._has_answered or self._unanswered <= MAX_UNANSWERED


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which hears SIGTERM within half a second, whatever its workers do.

    It closes the socket on SIGTERM, as its workers do: a client that connects would wait for a response that
    nobody sends. `metrics_folder` is where the workers write their metrics.
    """

    processes: list[Worker]  # type: ignore[assignment]
    # They would start workers of uvicorn's own class.
    handle_hup = handle_ttin = handle_ttou = None  # type: ignore[assignment]

    def __init__(self, config: uvicorn.Config, sockets: list[socket], metrics_folder: str) -> None:
        super().__init__(config, sockets)
        self.has_failed = False
        self._metrics_folder = metrics_folder
        self._young_deaths = 0
        self._start_times: list[float] = []

    def init_processes(self) -> None:
        """Start the workers."""
        for _ in range(self.processes_num):
            self._start_worker()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died, later and later if they die young."""
        for worker in list(self.processes):
            if not self.should_exit.is_set() and not worker.is_alive():
                self._replace(worker)
        for due in [due for due in self._start_times if due <= time.monotonic()]:
            self._start_times.remove(due)
            if not self.should_exit.is_set():
                self._start_worker()

    def _start_worker(self) -> None:
        worker = Worker(self.config, self.sockets)
        worker.start()
        self.processes.append(worker)

    def _replace(self, worker: Worker) -> None:
        """Log the death and plan when to start another worker. What it counted stays."""
        worker.kill()  # in case it only does not answer
        worker.join()
        self.processes.remove(worker)
        mark_process_dead(worker.pid, self._metrics_folder)
        about = {"pid": worker.pid, "exit_code": worker.exitcode}
        if worker.exitcode == STARTUP_FAILURE:  # another one would fail as well
            log.error("a worker process cannot start", extra=about)
            self.has_failed = True
            self.should_exit.set()
            return
        if time.monotonic() - worker.born_at > YOUNG_S:
            self._young_deaths = 0
        delay_s = DELAYS_S[min(self._young_deaths, len(DELAYS_S) - 1)]
        self._young_deaths += 1
        log.warning("a worker process died", extra=about | {"restart_in_s": delay_s})
        self._start_times.append(time.monotonic() + delay_s)

    def terminate_all(self) -> None:
        """Refuse new connections, and tell every worker to end."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for the workers. Kill those that do not end in time."""
        deadline = time.monotonic() + STOP_S
        for worker in self.processes:
            worker.process.join(max(0, deadline - time.monotonic()))
            if worker.exitcode is None:
                log.warning("a worker process does not end", extra={"pid": worker.pid})
                worker.kill()
