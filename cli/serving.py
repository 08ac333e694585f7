"""`todo serve`."""

from argparse import Namespace

import server
from observability import configure_logging
from settings import Settings


def run(settings: Settings, _arguments: Namespace) -> None:
    """Serve until told to stop."""
    configure_logging(settings.log_level)
    server.run(settings)
