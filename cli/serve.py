"""`todo serve`."""

import logging
from argparse import Namespace
from importlib import import_module

from cli.errors import CommandError
from server.run import configure_logs, serve
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
    configure_logs(settings)
    for warning in settings.find_warnings():
        log.warning(warning)
    serve(settings)
