"""The alerts and the dashboard of deploy/, evaluated by a real Prometheus."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.ecosystem.deployment.pages import DEPLOY
from tests.support import programs
from tests.support.contract_checks import open_client
from tests.support.server import Server, eventually, find_free_port, run_server
from tests.support.users import SECRET, new_user

ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]

# The series of a fault, and of normal operation: a value each minute, in promtool's notation.
SERIES = {
    "TodoDown": ("up", "0x120", "1x120"),
    "TodoNotReady": ('todo_requests_total{operation="service.ready",status="503"}', "0+12x120", "3x120"),
    "TodoErrors": ('todo_requests_total{operation="tasks.get",status="503"}', "0+99x120", "9x120"),
    "TodoSlow": (
        'todo_request_duration_seconds_bucket{operation="tasks.get",le="0.5"}', "0+890x120", "0+900x120",
    ),
    "TodoPoolExhausted": ("todo_pool_timeouts_total", "0+1x120", "5x120"),
    "TodoSharedLimitsAway": ("todo_rate_limit_storage_away", "1x120", "0x120"),
    "TodoKeysOld": ("todo_keys_fetched_timestamp_seconds", "1x120", "1+60x120"),
    "TodoRestarts": ("process_start_time_seconds", "0+100x120", "9x120"),
    "TodoMemory": ("process_resident_memory_bytes", "400e6x120", "110e6x120"),
    "TodoLogRecordsDropped": ("todo_log_records_dropped_total", "0+9x120", "9x120"),
    "TodoPasswordsRejected": ("todo_bcrypt_refusals_total", "0+9x120", "9x120"),
    "TodoDiskAlmostFull": ("node_filesystem_avail_bytes", "5x120", "50x120"),
}  # fmt: skip
OTHERS = {
    'todo_requests_total{operation="tasks.get",status="200"}': "0+900x120",
    'todo_request_duration_seconds_bucket{operation="tasks.get",le="0.25"}': "0+0x120",
    'todo_request_duration_seconds_bucket{operation="tasks.get",le="1"}': "0+900x120",
    'todo_request_duration_seconds_bucket{operation="tasks.get",le="+Inf"}': "0+900x120",
    "node_filesystem_size_bytes": "100x120",
}


def with_labels(series: str) -> str:
    """Add the labels that Prometheus gives to every series."""
    name, _, labels = series.rstrip("}").partition("{")
    return f'{name}{{job="todo",instance="one",{labels}}}'


def write_case(alert: str, values: str, *, is_firing: bool) -> dict[str, Any]:
    """Return a case of promtool: these values of the alert's series, and whether it fires after two hours."""
    series = OTHERS | {SERIES[alert][0]: values}
    return {
        "interval": "1m",
        "input_series": [{"series": with_labels(name), "values": found} for name, found in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                "eval_time": "119m",
                "exp_samples": [{"labels": "{}", "value": int(is_firing)}],
            }
        ],
    }


def test_every_alert_fires_during_its_fault_and_not_in_normal_operation(tmp_path: Path):
    program = programs.needed("promtool", package="prometheus")
    assert {rule["alert"] for rule in RULES} == SERIES.keys()
    cases = [
        write_case(alert, values, is_firing=is_firing)
        for alert, (_, fault, normal) in SERIES.items()
        for values, is_firing in ((fault, True), (normal, False))
    ]
    content = {"rule_files": [str(DEPLOY / "alerts.yml")], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for arguments in (
        ("check", "config", DEPLOY / "prometheus.yml"),
        ("test", "rules", tmp_path / "cases.yml"),
    ):
        ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@contextlib.contextmanager
def run_prometheus(folder: Path, server: Server) -> Iterator[httpx.Client]:
    """Run Prometheus with the files of deploy/, but with seconds for minutes, and yield its API."""
    program = programs.needed("prometheus", package="prometheus")
    text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
    target = server.url.removeprefix("http://")
    text = text.replace("127.0.0.1:8000", target).replace("15s", "500ms\n  evaluation_interval: 500ms")
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    rules = (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    rules = re.sub(r"(for: |\[)\d+m", r"\g<1>4s", rules)
    (folder / "alerts.yml").write_text(rules, encoding="utf-8")
    port = find_free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as api:
            assert eventually(lambda: _is_ready(api), within_s=20)
            yield api
    finally:
        process.terminate()
        process.wait(timeout=20)


def _is_ready(api: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return api.get("/-/ready").status_code == 200
    return False


def query(api: httpx.Client, expression: str) -> list[Any]:
    for variable, value in (("$job", ".*"), ("$instance", ".*"), ("$__rate_interval", "4s")):
        expression = expression.replace(variable, value)
    response = api.get("/api/v1/query", params={"query": expression}).json()
    assert response["status"] == "success", (expression, response)
    return list(response["data"]["result"])


def find_alerts(api: httpx.Client) -> set[str]:
    """Return the names of the alerts that fire."""
    alerts = api.get("/api/v1/alerts").json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def test_every_expression_has_a_value_and_alerts_fire_for_a_server_without_its_database(tmp_path: Path):
    nowhere = f"127.0.0.1:{find_free_port()}"
    settings = {
        "BETTER_AUTH_SECRET": SECRET,
        "RATE_LIMIT": "on",
        "RATE_LIMIT_STORAGE": f"redis://{nowhere}/0",
    }
    settings |= {"DATABASE_URL": f"postgresql://todo@{nowhere}/todo", "WORKERS": "2", "TMPDIR": str(tmp_path)}
    with run_server(tmp_path, **settings) as server, run_prometheus(tmp_path, server) as api:
        with open_client(server.url) as http:
            ada = new_user(http)

            def has_alerts(*expected: str) -> bool:
                assert (ada.get().status_code, http.get(ada.tasks).status_code) == (503, 401)
                assert http.get("/health/ready").status_code == 503
                return find_alerts(api) >= {*expected}

            assert eventually(
                lambda: has_alerts("TodoNotReady", "TodoErrors", "TodoSharedLimitsAway"), within_s=40
            )
        empty = {expression for expression in PANELS if not query(api, expression)}
        assert empty == {expression for expression in PANELS if "fetched_timestamp" in expression}
        for rule in RULES:
            query(api, rule["expr"])
        memory = query(api, "process_resident_memory_bytes")
        assert len({sample["metric"]["pid"] for sample in memory}) == 3  # the supervisor and two workers
        server.stop()
        assert eventually(lambda: "TodoDown" in find_alerts(api), within_s=20)
