"""Read GET /metrics as Prometheus does."""

from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def parse_samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def read_samples(http: httpx.Client) -> list[Sample]:
    """Return every sample of the server."""
    response = http.get("/metrics")
    assert response.status_code == 200
    return [*parse_samples(response.text)]


def read_metric(http: httpx.Client, name: str, **labels: str) -> float:
    """Return the sum of the samples with this name and these labels. Fail when no sample has the name."""
    found = [sample for sample in read_samples(http) if sample.name == name]
    assert found, f"there is no {name}"
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())
