"""The metrics of requests, and the text of all metrics for Prometheus.

Each package declares its metrics where it counts, in prometheus_client's registry. Several workers write
their metrics to a shared folder, PROMETHEUS_MULTIPROC_DIR, which the supervisor sets. The worker that serves
/metrics adds them up.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cache, partial

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

BUILD_INFO = "todo_build_info"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)  # no request may take longer

_REQUESTS = Counter("todo_requests", "Requests answered.", ("operation", "method", "status"))
_DURATIONS = Histogram("todo_request_duration_seconds", "Time to answer.", ("operation",), buckets=BUCKETS_S)
_BUILD = Gauge(
    BUILD_INFO,
    "1, for each worker, labelled with the contract's version.",
    ("version",),
    multiprocess_mode="liveall",
)

disable_created_metrics()  # a time of creation for each metric, which several workers cannot provide


def set_version(version: str) -> None:
    """Set the version of the contract that this process serves."""
    _BUILD.labels(version).set(1)


# Cached because the look-up of labels costs as much as counting. The number of labels is bounded.
@cache
def _get_counter(operation: str, method: str, status: int) -> Counter:
    return _REQUESTS.labels(operation, method, status)


@cache
def _get_histogram(operation: str) -> Histogram:
    return _DURATIONS.labels(operation)


def observe(operation: str, method: str, status: int, duration_s: float) -> None:
    """Count one request."""
    _get_counter(operation, method, status).inc()
    _get_histogram(operation).observe(duration_s)


def render_metrics() -> bytes:
    """Return the metrics of all workers in the Prometheus text format 0.0.4."""
    if values.ValueClass is values.MutexValue:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Workers())
    return generate_latest(registry)


class _Workers(Collector):
    """Collects the metrics of all workers, and the resources of each live process by `pid`."""

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        for metric in MultiProcessCollector(None).collect():
            yield metric
            if metric.name == BUILD_INFO:
                workers = [sample.labels["pid"] for sample in metric.samples]
                yield from _collect_processes([str(os.getppid()), *workers])


def _collect_processes(pids: Iterable[str]) -> Iterable[Metric]:
    families: dict[str, Metric] = {}
    for pid in pids:
        for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
            family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            family.samples += [sample._replace(labels={"pid": pid}) for sample in metric.samples]
    return families.values()
