"""The supervisor of several worker processes, and how a worker process ends with its supervisor."""

import asyncio
import multiprocessing
import signal
from socket import socket

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess


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


def end_with_supervisor() -> None:
    """End this worker when its parent is no more: orphans would hold the port against the next start."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, end)
