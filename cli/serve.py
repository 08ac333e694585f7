"""`todo serve`."""

import logging
from argparse import Namespace
from importlib import import_module

from cli.errors import CommandError
from contract.validation import read_version
from observability import logs
from server.run import serve
from settings import Settings

log = logging.getLogger("todo.settings")


def run(settings: Settings, _arguments: Namespace) -> None:
    """Serve until SIGTERM. Raise CommandError if a collector is set and its packages are missing."""
    if settings.otel_exporter_otlp_endpoint:
        try:
            import_module("observability.spans")
        except ImportError:
            raise CommandError(
                "OTEL_EXPORTER_OTLP_ENDPOINT needs the packages of requirements-otel.lock"
            ) from None
    logs.configure(
        settings.log_level,
        version=read_version(),
        with_colour=not settings.no_color,
        is_queued=True,
    )
    for warning in settings.find_warnings():
        log.warning(warning)
    serve(settings)
