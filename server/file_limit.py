"""Fits the number of connections to the file descriptors of the process."""

import logging
import resource

from server.protocol import MAX_REJECTIONS_DIVISOR

log = logging.getLogger("todo.server")

RESERVED_FILES = 64  # for the database, the log, metrics, Redis, key sets and listening sockets


def fit_file_limit(max_connections: int) -> int:
    """Return how many connections a process may have: `max_connections`, or fewer if RLIMIT_NOFILE is low.

    Raise the soft limit as far as needed and as the hard limit allows. Log a warning if that is too low.
    """
    needed = max_connections + max_connections // MAX_REJECTIONS_DIVISOR + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_less(soft, needed):
        soft = needed if not _is_less(hard, needed) else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if not _is_less(soft, needed):
        return max_connections
    fitting = max(1, (soft - RESERVED_FILES) * MAX_REJECTIONS_DIVISOR // (MAX_REJECTIONS_DIVISOR + 1))
    log.warning("MAX_CONNECTIONS is lowered", extra={"max_connections": fitting, "rlimit_nofile": soft})
    return fitting


def _is_less(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed
