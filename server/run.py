"""Start uvicorn with the settings, in one process or in several, and end the process quickly."""

import gc
import signal
import sys
import tempfile
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app import create_app
from observability import logs
from server.protocol import Protocol
from server.supervisor import Workers, end_with_supervisor
from settings import Settings, hand_down

if TYPE_CHECKING:  # app.py is the first to import it, having silenced a warning
    from connexion import AsyncApp

KEEP_ALIVE_S = 5
GRACE_S = 5  # of the 8 s after SIGTERM within which the process is to end; longer than any statement


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Send the responses to all received requests before the process ends."""
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it anew when it has stopped
    config = uvicorn.Config(
        "server.run:app_from_environment",
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
    """Exit with status 0 on SIGTERM."""
    sys.exit(_end_quickly(0))


def _end_quickly(status: int) -> int:
    """Return `status` after telling Python to release no objects when the process ends.

    Releasing them takes 0.2 to 0.5 s of CPU, and on a loaded machine the rest of the 8 s.
    """
    gc.freeze()
    return status


def app_from_environment() -> "AsyncApp":
    """Return the app of one worker process."""
    end_with_supervisor()
    settings = Settings.from_environment()
    logs.configure(settings.log_level, with_colour=not settings.no_color)
    return create_app(settings)
