"""Start uvicorn with the settings, in one process or in several."""

import signal
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app import create_app
from contract.validation import read_version
from observability import logs
from server.file_limit import fit_file_limit
from server.protocol import Protocol
from server.shutdown import Server, handle_sigterm, keep_objects, stop_with_supervisor
from server.supervisor import Supervisor
from settings import Settings, set_for_children

if TYPE_CHECKING:  # app.py must import it first, because it silences a warning
    from connexion import AsyncApp

KEEP_ALIVE_S = 5
GRACE_S = 5  # of the 8 s after SIGTERM; longer than any statement


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Send the responses to all received requests before the process ends."""
    signal.signal(signal.SIGTERM, handle_sigterm)  # uvicorn raises the signal again when it has stopped
    config = uvicorn.Config(
        "server.run:create_app_from_environment",
        factory=True,
        lifespan="on",  # an error of the assembly stops the startup
        http=partial(  # type: ignore[arg-type]
            Protocol,
            header_timeout_s=settings.header_timeout,
            max_connections=fit_file_limit(settings.max_connections),
        ),
        ws="none",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),  # clients can send these headers too
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    has_started = _run_workers(config) if settings.workers > 1 else _run(config)
    keep_objects()
    sys.exit(0 if has_started else STARTUP_FAILURE)


def _run(config: uvicorn.Config) -> bool:
    """Serve in this process, and return whether the server could start."""
    server = Server(config)
    server.run()
    return server.started


def _run_workers(config: uvicorn.Config) -> bool:
    """Serve in worker processes, and return whether they could start."""
    with tempfile.TemporaryDirectory(prefix="todo-metrics-") as folder:
        set_for_children("PROMETHEUS_MULTIPROC_DIR", folder)  # before prometheus_client is imported there
        supervisor = Supervisor(config, [config.bind_socket()], folder)
        supervisor.run()
    return not supervisor.has_failed


def create_app_from_environment() -> "AsyncApp":
    """Return the app of one worker process."""
    stop_with_supervisor()
    settings = Settings.from_environment()
    configure_logs(settings)
    return create_app(settings)


def configure_logs(settings: Settings) -> None:
    """Send the log records of this process to standard output from a thread."""
    logs.configure(
        settings.log_level, version=read_version(), with_colour=not settings.no_color, is_queued=True
    )
