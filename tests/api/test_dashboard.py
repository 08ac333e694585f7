"""The Grafana dashboard of deploy/ shows what the server counts."""

import asyncio
import json
import re
from collections import defaultdict

import pytest

from app import check_assembly
from observability import metrics
from settings import Settings
from tests.support.metrics_text import parse_samples
from tests.support.server import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
LABELS_OF_PROMETHEUS = {"job", "instance"}

NOT_SHOWN = {
    "todo_request_duration_seconds_count": "todo_requests_total says the same, and more",
    "todo_request_duration_seconds_sum": "a mean hides what the quantiles show",
    "process_virtual_memory_bytes": "says nothing about the memory in use",
    "process_start_time_seconds": "CPU and memory show a restart",
    "python_info": "of interest once",
    "python_gc_objects_collected_total": "for a look into the garbage collector, not for every day",
    "python_gc_objects_uncollectable_total": "likewise",
    "python_gc_collections_total": "likewise",
}


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """The labels of each metric that the app has counted after one request."""
    asyncio.run(check_assembly(Settings()))
    found: dict[str, set[str]] = defaultdict(set)
    for sample in parse_samples(metrics.render_metrics().decode()):
        found[sample.name] |= sample.labels.keys()
    return dict(found)


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:todo|process|python)_\w+", expression))


def test_every_panel_queries_metrics_and_labels_that_the_server_has(served: dict[str, set[str]]):
    for panel in PANELS:
        for target in panel["targets"]:
            names = metrics_in(target["expr"])
            assert names, panel["title"]
            assert names <= served.keys(), panel["title"]
            selected = set(re.findall(r'(\w+)=~?"', target["expr"]))
            assert selected >= LABELS_OF_PROMETHEUS, panel["title"]
            labels = selected | set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert labels <= set.union(LABELS_OF_PROMETHEUS, *(served[name] for name in names)), panel[
                "title"
            ]


def test_every_metric_is_shown_or_left_out_for_a_reason(served: dict[str, set[str]]):
    shown = set.union(*(metrics_in(target["expr"]) for target in TARGETS))
    assert served.keys() - shown == NOT_SHOWN.keys()


def test_every_panel_queries_the_chosen_data_source():
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [found for found in [*PANELS, *TARGETS] if found["datasource"] != chosen] == []
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
