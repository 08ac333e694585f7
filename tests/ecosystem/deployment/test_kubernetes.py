"""The manifests of deploy/kubernetes: their schemas, Pod Security, times, and the roles of the database."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from psycopg.errors import InsufficientPrivilege

from server.run import GRACE_S
from settings import Settings
from tests.ecosystem.deployment.pages import DEPLOY, blocks
from tests.support import programs
from tests.support.command_line import call_todo
from tests.support.contract_checks import CONTRACT, open_client
from tests.support.databases import on_postgresql
from tests.support.postgresql import OwnRoles
from tests.support.server import run_server
from tests.support.users import SECRET, new_user

FOLDER = DEPLOY / "kubernetes"
VERSION = CONTRACT["info"]["version"]
ENDS_WITHIN_S = 8
MINIMUM = "1.25"


def read_env(name: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines())


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


KUSTOMIZATION = load("kustomization.yaml")
MANIFESTS = [load(name) for name in (*KUSTOMIZATION["resources"], "ingress.yaml")]
PODS = [found["spec"]["template"]["spec"] for found in MANIFESTS if "template" in found["spec"]]
[SERVER] = load("deployment.yaml")["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("version", [MINIMUM, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_manifest_is_valid_for_the_minimum_and_the_newest_version(version: str, manifest: dict[str, Any]):
    assert f"Kubernetes {MINIMUM}" in (DEPLOY / "kubernetes.md").read_text(encoding="utf-8")
    kubernetes_validate.validate(manifest, version, strict=True)


def test_kustomize_renders_every_manifest(tmp_path: Path):
    kubectl = programs.find("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    for file in FOLDER.iterdir():
        (tmp_path / file.name.removesuffix(".example")).write_bytes(file.read_bytes())
    ended = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rendered = [*yaml.safe_load_all(ended.stdout)]
    kinds = sorted(manifest["kind"] for manifest in rendered)
    assert kinds == [
        "ConfigMap", "Deployment", "Job", "PodDisruptionBudget", "Secret", "Secret", "Service",
    ]  # fmt: skip
    for manifest in rendered:
        kubernetes_validate.validate(manifest, MINIMUM, strict=True)


@pytest.mark.parametrize("pod", PODS, ids=["server", "migration"])
def test_pods_satisfy_the_restricted_pod_security_standard(pod: dict[str, Any]):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    assert pod["securityContext"] | {"runAsNonRoot": True} == pod["securityContext"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
    for volume in pod.get("volumes", []):
        assert "emptyDir" in volume
    for container in pod["containers"]:
        assert container["image"] == f"todo-backend:{VERSION}"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_job_has_the_version_in_its_name_and_runs_the_command():
    job = load("migration.yaml")
    assert job["metadata"]["name"] == f"todo-migrate-{VERSION.replace('.', '-')}"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["python", "-m", "cli", "migrate"]


def test_probes_ports_and_times_are_those_of_the_server():
    for probe, path in (
        ("startupProbe", "/health/live"),
        ("livenessProbe", "/health/live"),
        ("readinessProbe", "/health/ready"),
    ):
        assert SERVER[probe]["httpGet"] == {"path": path, "port": "http"}
        assert path in CONTRACT["paths"]
    assert SERVER["ports"] == [{"name": "http", "containerPort": 8000}]  # PORT of the image
    assert GRACE_S < ENDS_WITHIN_S
    waits_s = int(SERVER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert PODS[0]["terminationGracePeriodSeconds"] > waits_s + ENDS_WITHIN_S


def test_settings_are_valid_and_hold_no_secret():
    settings = read_env("settings.env")
    assert Settings.from_environment(settings | read_env("server.env.example")).run_migrations is False
    assert not any("SECRET" in name or "DATABASE" in name for name in settings)


def test_only_the_api_is_public():
    [rule] = load("ingress.yaml")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/api"]


@on_postgresql
def test_server_serves_with_a_role_that_may_not_change_the_schema(
    new_database: Callable[[], str], tmp_path: Path
):
    roles = OwnRoles(new_database())
    create, grant = blocks("kubernetes.md", "sql")
    create = create.replace("CREATE DATABASE todo OWNER", "ALTER DATABASE todo OWNER TO")
    roles.execute(create)
    roles.execute(grant)
    assert call_todo(tmp_path, "migrate", DATABASE_URL=roles.url_of("todo_owner")).status == 0
    settings = {
        "DATABASE_URL": roles.url_of("todo_server"),
        "RUN_MIGRATIONS": "off",
        "BETTER_AUTH_SECRET": SECRET,
    }
    with run_server(tmp_path, **settings) as server, open_client(server.url) as http:
        ada = new_user(http)
        task = ada.create_task()
        assert ada.complete(task["id"]).status_code == 200
        assert ada.delete(f"/{task['id']}").status_code == 204
    for statement in (
        "CREATE TABLE x ()",
        "ALTER TABLE tasks ADD x text",
        "DROP TABLE tasks",
        "TRUNCATE tasks",
    ):
        with pytest.raises(InsufficientPrivilege):
            roles.execute(statement, "todo_server")
