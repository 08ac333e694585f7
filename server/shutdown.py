"""Ends a server process on SIGTERM: at once during startup, otherwise after the last response."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn

from server.protocol import Protocol


class Server(uvicorn.Server):
    """uvicorn's server, which also ends during startup, and aborts connections that are not read.

    The startup may take 5 s for the database, and far longer on a slow machine.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Write the log records and end the process, or stop serving."""
        if not self.started:
            logging.shutdown()
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve. What exists by then stays, so the garbage collector need not look at it again."""
        await super().startup(sockets)
        gc.freeze()
        gc.enable()  # in a worker process, the import of cli/__main__.py has disabled it

    async def on_tick(self, counter: int) -> bool:
        """Abort connections whose client does not read, every 2 s (uvicorn calls this every 0.1 s)."""
        if counter % 20 == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.abort_if_unread(now)
        return await super().on_tick(counter)


def handle_sigterm(_signal: int, _frame: FrameType | None) -> None:
    """Exit with status 0 on SIGTERM."""
    keep_objects()
    sys.exit(0)


def keep_objects() -> None:
    """Do not release the objects when the process ends, which takes 0.2 to 0.5 s of CPU."""
    gc.freeze()


def stop_with_supervisor() -> None:
    """Stop this worker process when its supervisor ends. Otherwise the worker would keep the port."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    loop = asyncio.get_running_loop()

    def raise_sigterm() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, raise_sigterm)
