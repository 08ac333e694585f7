"""Bodies of odd types, codings, sizes and contents: accepted or rejected, and a rejected one stores nothing.

tests/unit has the table of what is not strict JSON.
"""

import gzip
import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.server import Server
from tests.support.users import User

pytestmark = on_sqlite

JSON = {"Content-Type": "application/json"}
TASK = b'{"title": "Buy milk"}'
MAX_BODY_BYTES = 65_536

ACCEPTED: dict[str, tuple[dict[str, str], Any]] = {
    **{f"type {content_type}": ({"Content-Type": content_type}, TASK) for content_type in (
        "Application/JSON", "application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"',
        "application/json ; charset=utf8", "application/json;charset=UTF-8")},
    "identity, which is no coding": (JSON | {"Content-Encoding": "identity"}, TASK),
    "chunks": (JSON, [TASK[:7], b"", TASK[7:]]),
    "the largest size": (JSON, TASK.ljust(MAX_BODY_BYTES)),
    "the largest size, in chunks": (JSON, [TASK.ljust(99), b" " * (MAX_BODY_BYTES - 99)]),
    "an unknown member": (JSON, b'{"title": "Buy milk", "tags": [[{"a": null}]], "priority": 1.5e3}'),
}  # fmt: skip
REJECTED: dict[str, tuple[int, dict[str, str], Any]] = {
    **{f"type {content_type!r}": (415, {"Content-Type": content_type}, TASK) for content_type in (
        "", "nonsense", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/*",
        "multipart/form-data; boundary=x", "application/json-patch+json", "application/json, text/plain")},
    **{f"charset {charset}": (415, {"Content-Type": f"application/json; charset={charset}"}, TASK)
       for charset in ("utf-7", "utf-16", "latin-1", "ascii", "nonsense", '"utf-8, utf-7"')},
    "no type": (415, {}, TASK),
    "another spelling of the type does not avoid the schema": (
        400, {"Content-Type": "Application/JSON"}, b'{"title": ""}'),
    **{f"coding {coding!r}": (415, JSON | {"Content-Encoding": coding}, gzip.compress(TASK))
       for coding in ("gzip", "x-gzip", "deflate", "br", "identity, gzip", "")},
    "over the largest size": (413, JSON, TASK.ljust(MAX_BODY_BYTES + 1)),
    "over the largest size, in chunks": (413, JSON, [TASK.ljust(99), b" " * (MAX_BODY_BYTES - 98)]),
    "no body": (400, JSON, b""),
    "chunks of nothing": (400, JSON, [b""]),
    "white space": (400, JSON, b" \n"),
    "not JSON": (400, JSON, b"{'title': 'Buy milk'}"),
    "a member twice": (400, JSON, b'{"title": "Buy milk", "title": "Buy oats"}'),
    "NUL": (400, JSON, rb'{"title": "Buy\u0000milk"}'),
    "a violation": (400, JSON, b'{"title": 7, "completed": "yes"}'),
}  # fmt: skip


def post(user: User, headers: dict[str, str], content: Any) -> httpx.Response:
    content = iter(content) if isinstance(content, list) else content
    return user.request("POST", content=content, headers=headers, timeout=2)


def test_body_of_an_accepted_type_and_size_is_stored(ada: User):
    for name, (headers, content) in ACCEPTED.items():
        response = post(ada, headers, content)
        assert (response.status_code, response.json()["title"]) == (201, "Buy milk"), name


def test_rejected_body_stores_nothing(ada: User):
    statuses = {
        name: post(ada, headers, content).status_code for name, (_, headers, content) in REJECTED.items()
    }
    assert statuses == {name: status for name, (status, *_) in REJECTED.items()}
    assert ada.get().json() == []


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("PATCH", ""), ("PATCH", "/complete")], ids=["put", "patch", "complete"]
)
def test_rejected_body_changes_nothing(ada: User, method: str, path: str):
    task = ada.create_task()
    for name in (
        "text/plain",
        "charset utf-16",
        "coding 'gzip'",
        "over the largest size",
        "no type",
        "not JSON",
        "a violation",
    ):
        [(status, headers, content)] = [case for key, case in REJECTED.items() if name in key][:1]
        response = ada.request(method, f"/{task['id']}{path}", content=content, headers=headers)
        assert response.status_code == status, name
    assert ada.get(f"/{task['id']}").json() == task


@pytest.mark.parametrize("types", [("application/json", "text/plain"), ("text/plain", "application/json")])
def test_body_of_two_types_is_415(ada: User, types: tuple[str, str]):
    headers = [*ada.headers.items(), *(("Content-Type", content_type) for content_type in types)]
    assert ada.http.post(ada.tasks, content=TASK, headers=headers).status_code == 415


def test_type_of_an_absent_body_is_ignored(ada: User):
    for content_type in ("multipart/form-data; boundary=x", "text/plain", "nonsense"):
        path = f"/{ada.create_task()['id']}"
        for method in ("GET", "HEAD", "DELETE"):
            assert ada.request(method, path, headers={"Content-Type": content_type}).is_success


def test_optional_body_may_come_in_chunks_or_be_chunks_of_nothing(ada: User):
    task = ada.create_task(completed=True)
    for chunks, completed in (([b'{"completed":', b" true}"], True), ([b""], False)):
        response = ada.complete(task["id"], content=iter(chunks), headers=JSON)
        assert response.json()["completed"] is completed


@pytest.fixture
def connection(secret_server: Server) -> Iterator[http.client.HTTPConnection]:
    """A connection that sends a Content-Length without a body."""
    connection = http.client.HTTPConnection(urlsplit(secret_server.url).netloc, timeout=5)
    yield connection
    connection.close()


def test_body_whose_length_is_too_large_is_413_before_it_is_sent(
    connection: http.client.HTTPConnection, ada: User
):
    connection.request("POST", ada.tasks, headers=ada.headers | JSON | {"Content-Length": str(10**9)})
    assert connection.getresponse().status == 413
