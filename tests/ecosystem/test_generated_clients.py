"""Python clients that other people's generators make of the contract, against the running server."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.databases import on_sqlite
from tests.support.programs import find
from tests.support.server import ROOT
from tests.support.users import MISSING, User

BIN = Path(sys.executable).parent


class GeneratedClient(Protocol):
    """The calls of a generated client that the tests need. A task is an object with the members of Task."""

    def list_titles(self) -> list[str]: ...
    def create(self, title: str) -> Any: ...
    def get(self, task_id: int) -> Any: ...
    def rename(self, task_id: int, title: str) -> Any: ...
    def toggle(self, task_id: int) -> Any: ...
    def delete(self, task_id: int) -> None: ...

    def get_problem(self, task_id: int) -> tuple[int, str]:
        """Return the status and the type of the problem that GET returns."""
        ...


class OpenapiGenerator:
    """The Python client of openapi-generator. Its calls return the body, and raise for a problem."""

    def __init__(self, user: User) -> None:
        generated = importlib.import_module("by_openapi_generator")
        self._models = generated
        configuration = generated.Configuration(host=str(user.http.base_url), access_token=user.token)
        self._tasks = generated.TasksApi(generated.ApiClient(configuration))
        self._user = user.id

    def list_titles(self) -> list[str]:
        return [task.title for task in self._tasks.tasks_list(self._user)]

    def create(self, title: str) -> Any:
        return self._tasks.tasks_create(self._user, self._models.TaskInput(title=title))

    def get(self, task_id: int) -> Any:
        return self._tasks.tasks_get(self._user, task_id)

    def rename(self, task_id: int, title: str) -> Any:
        return self._tasks.tasks_patch(self._user, task_id, self._models.TaskChanges(title=title))

    def toggle(self, task_id: int) -> Any:
        return self._tasks.tasks_complete(self._user, task_id)

    def delete(self, task_id: int) -> None:
        self._tasks.tasks_delete(self._user, task_id)

    def get_problem(self, task_id: int) -> tuple[int, str]:
        with pytest.raises(self._models.exceptions.NotFoundException) as raised:
            self.get(task_id)
        return raised.value.status, raised.value.data.type


class OpenapiPythonClient:
    """The client of openapi-python-client. Its calls return the parsed body, a problem too."""

    def __init__(self, user: User) -> None:
        client = importlib.import_module("by_openapi_python_client.client")
        self._models = importlib.import_module("by_openapi_python_client.models")
        self._client = client.AuthenticatedClient(
            base_url=str(user.http.base_url), token=user.token, raise_on_unexpected_status=True
        )
        self._user = user.id

    def _call(self, operation: str, *arguments: Any, **options: Any) -> Any:
        module = importlib.import_module(f"by_openapi_python_client.api.tasks.tasks_{operation}")
        return module.sync(self._user, *arguments, client=self._client, **options)

    def list_titles(self) -> list[str]:
        return [task.title for task in self._call("list")]

    def create(self, title: str) -> Any:
        return self._call("create", body=self._models.TaskInput(title=title))

    def get(self, task_id: int) -> Any:
        return self._call("get", task_id)

    def rename(self, task_id: int, title: str) -> Any:
        return self._call("patch", task_id, body=self._models.TaskChanges(title=title))

    def toggle(self, task_id: int) -> Any:
        return self._call("complete", task_id)

    def delete(self, task_id: int) -> None:
        assert self._call("delete", task_id) is None

    def get_problem(self, task_id: int) -> tuple[int, str]:
        problem = self.get(task_id)
        return problem.status, problem.type_


def generate_by_openapi_generator(folder: Path) -> type[GeneratedClient]:
    if not find("java"):
        pytest.skip("no Java is installed")
    options = ("-g", "python", "--package-name", "by_openapi_generator", "-o", str(folder))
    run("openapi-generator-cli", "generate", "-i", CONTRACT, *options)
    return OpenapiGenerator


def generate_by_openapi_python_client(folder: Path) -> type[GeneratedClient]:
    output = folder / "by_openapi_python_client"
    run(
        "openapi-python-client",
        "generate",
        "--path",
        CONTRACT,
        "--meta",
        "none",
        "--output-path",
        str(output),
    )
    return OpenapiPythonClient


CONTRACT = str(ROOT / "openapi" / "todo.yaml")


def run(program: str, *arguments: str) -> None:
    path = os.pathsep.join((str(BIN), os.environ["PATH"]))  # openapi-python-client formats with ruff
    ended = subprocess.run(
        (BIN / program, *arguments),
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(params=[generate_by_openapi_generator, generate_by_openapi_python_client])
def client(
    request: pytest.FixtureRequest, ada: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GeneratedClient:
    generate: Callable[[Path], type[GeneratedClient]] = request.param
    make = generate(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return make(ada)  # type: ignore[call-arg]


@on_sqlite
def test_generated_client_lives_through_the_life_of_a_task(client: GeneratedClient):
    assert client.list_titles() == []
    task = client.create("Buy milk")
    assert (task.title, task.completed, task.version) == ("Buy milk", False, 1)
    assert client.get(task.id).title == "Buy milk"
    assert client.rename(task.id, "Buy oats").title == "Buy oats"
    assert client.toggle(task.id).completed is True
    assert client.list_titles() == ["Buy oats"]
    client.delete(task.id)
    assert client.get_problem(task.id) == client.get_problem(MISSING) == (404, "urn:todo:problem:not-found")
