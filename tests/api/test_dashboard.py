"""The Grafana dashboard of deploy/ asks for what the server counts, and for all of it."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.contract_checks import open_client
from tests.support.metrics_text import samples
from tests.support.server import ROOT, run_server

DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]

OF_PROMQL = {
    *("sum", "max", "count", "rate", "histogram_quantile", "vector", "time"),
    *("by", "or", "ignoring", "group_left"),
}  # what the expressions use of it
OF_THE_SCRAPE = {"job", "instance"}  # Prometheus adds them
GROUPING = r"\b(?:by|ignoring|group_left) *\(([^)]*)\)"

NOT_SHOWN = {
    "todo_request_duration_seconds_count": "todo_requests_total says the same, and more",
    "todo_request_duration_seconds_sum": "a mean hides what the quantiles show",
    "process_virtual_memory_bytes": "says nothing of what is used",
    "process_start_time_seconds": "CPU and memory show a restart",
    "python_info": "of interest once",
    "python_gc_objects_collected_total": "for whoever looks into the collector, not every day",
    "python_gc_objects_uncollectable_total": "likewise",
    "python_gc_collections_total": "likewise",
}


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each metric of a server that has had a request."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'todo.db'}"
    with run_server(folder, DATABASE_URL=url, RATE_LIMIT="on") as server, open_client(server.url) as http:
        http.get("/health/live")
        http.get("/health/live")  # by then the one before is counted
        found: dict[str, set[str]] = defaultdict(set)
        for sample in samples(http):
            found[sample.name] |= sample.labels.keys()
    return dict(found)


def metrics_of(expression: str) -> set[str]:
    """The names that are neither PromQL's nor labels."""
    without_labels = re.sub(rf"\{{[^}}]*\}}|\[[^]]*\]|{GROUPING}", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", without_labels)) - OF_PROMQL


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric, with the labels that it is chosen by."""
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        yield name, set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', matchers))


def grouped_by(expression: str) -> set[str]:
    return {label.strip() for group in re.findall(GROUPING, expression) for label in group.split(",")} - {""}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_asks_for_what_the_server_counts(panel: dict[str, Any], served: dict[str, set[str]]):
    for target in panel["targets"]:
        names = metrics_of(target["expr"])
        assert names
        assert names <= served.keys()
        assert [name for name, _ in selectors(target["expr"])] == found_in_order(target["expr"], names)
        for name, labels in selectors(target["expr"]):
            assert OF_THE_SCRAPE <= labels <= served[name] | OF_THE_SCRAPE
        kept = grouped_by(target["expr"])
        assert kept <= set().union(*(served[name] for name in names)) | OF_THE_SCRAPE
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def found_in_order(expression: str, names: set[str]) -> list[str]:
    """Each mention of one of `names`: it is to be chosen by job and instance each time."""
    return [word for word in re.findall(r"\w+", expression) if word in names]


def test_everything_that_is_counted_is_shown_or_left_out_for_a_reason(served: dict[str, set[str]]):
    shown = set().union(*(metrics_of(target["expr"]) for target in TARGETS))
    assert served.keys() - shown == NOT_SHOWN.keys()


def test_every_panel_asks_the_data_source_that_is_chosen():
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asked = [
        *PANELS,
        *TARGETS,
        *(found for found in DASHBOARD["templating"]["list"] if "datasource" in found),
    ]
    assert [found for found in asked if found["datasource"] != chosen] == []
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"


def test_panels_have_names_of_their_own_and_do_not_overlap():
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(titles) == len(set(titles))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(titles)
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(cells) == len(set(cells))
