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

from server.shutdown import Server, handle_sigterm

log = logging.getLogger("todo.server")

MAX_UNANSWERED = 10  # pings, one every 0.5 s
YOUNG_S = 30  # a worker that dies later did not fail in its startup
DELAYS_S = (0, 1, 2, 4, 8, 10)
STOP_TIMEOUT_S = 6.2  # a worker needs up to 5 s for requests and 1 s for log records


class Worker(Process):
    """A worker process of uvicorn. The supervisor does not wait for the responses to its pings."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.started_at = time.monotonic()
        self._has_answered = False
        self._unanswered = 0

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve, and write the last log records. Runs in the worker process."""
        signal.signal(signal.SIGTERM, handle_sigterm)  # uvicorn raises it again when it has stopped
        self._server = Server(self.config)
        try:
            super().target(sockets)
        finally:
            logging.shutdown()

    def is_alive(self, timeout: float = 0) -> bool:
        """Return False if the process has ended or no longer responds to pings.

        The first response may be late, because the worker imports its modules first. Pings are counted and
        not seconds, because a paused container pauses the supervisor as well.
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
    """uvicorn's supervisor, which handles SIGTERM within 0.5 s, whatever its workers do.

    It closes the socket on SIGTERM, as its workers do. Otherwise a client that connects would wait in vain.
    The workers write their metrics to `metrics_folder`.
    """

    processes: list[Worker]  # type: ignore[assignment]
    # These handlers would start workers of uvicorn's class.
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
        """Replace dead workers, after increasing delays if they die young."""
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
        """Log the death and schedule another worker. The counters of the dead worker remain."""
        worker.kill()  # it may be alive without responding
        worker.join()
        self.processes.remove(worker)
        mark_process_dead(worker.pid, self._metrics_folder)
        about = {"worker_pid": worker.pid, "exit_code": worker.exitcode}
        if worker.exitcode == STARTUP_FAILURE:  # another worker would fail as well
            log.error("a worker process cannot start", extra=about)
            self.has_failed = True
            self.should_exit.set()
            return
        if time.monotonic() - worker.started_at > YOUNG_S:
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
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for worker in self.processes:
            worker.process.join(max(0, deadline - time.monotonic()))
            if worker.exitcode is None:
                log.warning("a worker process does not end", extra={"worker_pid": worker.pid})
                worker.kill()
