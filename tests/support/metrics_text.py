"""What a server counts, as Prometheus reads it."""

from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples(http: httpx.Client) -> Iterator[Sample]:
    """Everything that GET /metrics says."""
    answer = http.get("/metrics")
    assert answer.status_code == 200
    for family in text_string_to_metric_families(answer.text):
        yield from family.samples


def figure(http: httpx.Client, name: str, **labels: str) -> float:
    """The sum of what is called so and has these labels. Fails when there is nothing of that name."""
    found = [sample for sample in samples(http) if sample.name == name]
    assert found, f"there is no {name}"
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())
