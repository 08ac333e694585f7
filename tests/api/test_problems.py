"""Odd requests: each has one answer, which says what is wrong and never what was sent."""

import gzip
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.contract_checks import CONTRACT
from tests.support.server import Server
from tests.support.users import User

JSON = {"Content-Type": "application/json"}
TASK = b'{"title": "Buy milk"}'
MAX_BODY_BYTES = 65_536
PATHS = CONTRACT["paths"]


@pytest.fixture
def wire(secret_server: Server) -> Iterator[HTTPConnection]:
    """A connection that sends what it is told to; httpx tidies up."""
    connection = HTTPConnection(urlsplit(secret_server.url).netloc, timeout=20)
    yield connection
    connection.close()


def get(wire: HTTPConnection, target: str, person: User) -> HTTPResponse:
    wire.request("GET", target, headers=person.headers)
    return wire.getresponse()


def post(person: User, content: Any, headers: dict[str, str] = JSON) -> httpx.Response:
    return person.request("POST", content=content, headers=headers)


# What a body calls itself.


@pytest.mark.parametrize(
    "content_type",
    ["Application/JSON", "application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"',
     "application/json ; charset=utf8"],
)  # fmt: skip
def test_json_in_utf8_may_be_spelled_in_any_case(ada: User, content_type: str):
    assert post(ada, TASK, {"Content-Type": content_type}).status_code == 201


def test_other_spelling_of_the_type_is_no_way_around_the_schema(ada: User):
    assert post(ada, b'{"title": ""}', {"Content-Type": "Application/JSON"}).status_code == 400


@pytest.mark.parametrize(
    "content_type",
    ["", "nonsense", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/*",
     "multipart/form-data; boundary=x", "application/json-patch+json", "application/json, text/plain"],
)  # fmt: skip
def test_body_of_another_type_is_415(ada: User, content_type: str):
    assert post(ada, TASK, {"Content-Type": content_type}).status_code == 415


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "latin-1", "ascii", "nonsense", '"utf-8, utf-7"'])
def test_body_in_another_charset_is_415(ada: User, charset: str):
    assert post(ada, TASK, {"Content-Type": f"application/json; charset={charset}"}).status_code == 415


def test_body_without_a_type_is_415(ada: User):
    assert post(ada, TASK, {}).status_code == 415


@pytest.mark.parametrize("types", [("application/json", "text/plain"), ("text/plain", "application/json")])
def test_body_of_two_types_is_415(ada: User, types: tuple[str, str]):
    headers = [*ada.headers.items(), *(("Content-Type", content_type) for content_type in types)]
    assert ada.http.post(ada.tasks, content=TASK, headers=headers).status_code == 415


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "identity, gzip", ""])
def test_compressed_body_is_415(ada: User, coding: str):
    assert post(ada, gzip.compress(TASK), JSON | {"Content-Encoding": coding}).status_code == 415


def test_identity_is_no_compression(ada: User):
    assert post(ada, TASK, JSON | {"Content-Encoding": "identity"}).status_code == 201


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/plain", "nonsense"])
def test_type_of_no_body_is_ignored(ada: User, method: str, content_type: str):
    path = f"/{ada.create_task()['id']}"
    assert ada.request(method, path, headers={"Content-Type": content_type}).is_success


# What a body holds. Each of these is read differently by different parsers, or breaks what comes after.

NOT_STRICT_JSON = {
    "cut off": b'{"title": "Buy milk"',
    "two values": b'{"title": "Buy milk"} {}',
    "trailing comma": b'{"title": "Buy milk",}',
    "comment": b'{"title": "Buy milk"} // or not',
    "single quotes": b"{'title': 'Buy milk'}",
    "line break in a string": b'{"title": "Buy\nmilk"}',
    "white space only": b" \n",
    "byte order mark": b"\xef\xbb\xbf" + TASK,
    "UTF-16": TASK.decode().encode("utf-16"),
    "invalid UTF-8": b'{"title": "\xff"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "high surrogate alone": rb'{"title": "\ud83d"}',
    "low surrogate alone": rb'{"title": "\uDE00"}',
    "surrogates the wrong way round": rb'{"title": "\ude00\ud83d"}',
    "lone surrogate in an ignored member": rb'{"title": "Buy milk", "tags": ["\ud83d"]}',
    "lone surrogate in a name": rb'{"title": "Buy milk", "\ud83d": 1}',
    "NUL": b'{"title": "Buy\0milk"}',
    "NUL escaped": rb'{"title": "Buy\u0000milk"}',
    "NUL in an ignored member": rb'{"title": "Buy milk", "tags": ["\u0000"]}',
    "NUL in a name": rb'{"title": "Buy milk", "\u0000": 1}',
    "duplicate members": b'{"title": "Buy milk", "title": "Buy oats"}',
    "duplicate members, one escaped": rb'{"title": "Buy milk", "\u0074itle": "Buy oats"}',
    "duplicate members, ignored": b'{"title": "Buy milk", "tags": {"a": 1, "a": 2}}',
    "NaN": b'{"title": "Buy milk", "priority": NaN}',
    "infinity": b'{"title": "Buy milk", "priority": -Infinity}',
    "integer of 5000 digits": b'{"title": "Buy milk", "priority": ' + b"9" * 5000 + b"}",
    "fraction of 5000 digits": b'{"title": "Buy milk", "priority": 0.' + b"9" * 5000 + b"}",
    "exponent of 5000 digits": b'{"title": "Buy milk", "priority": 1e' + b"9" * 5000 + b"}",
    "arrays 30,000 deep": b"[" * 30_000 + b"]" * 30_000,
    "arrays 30,000 deep, not closed": b"[" * 30_000,
    "objects 10,000 deep": b'{"a":' * 10_000,
    "ignored member 1000 deep": b'{"title": "Buy milk", "tags": ' + b"[" * 1000 + b"]" * 1000 + b"}",
}


@pytest.mark.parametrize("content", NOT_STRICT_JSON.values(), ids=NOT_STRICT_JSON)
def test_what_is_not_strict_json_is_400_and_stores_nothing(ada: User, content: bytes):
    answer = post(ada, content)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "body", "pointer": "", "keyword": "json"}]
    assert ada.get().json() == []


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (rb'{"title": "\ud83d\ude00"}', "😀"),
        (rb'{"title": "\\ud83d \" \u005c"}', r"\ud83d " + '" \\'),
        (rb'{"\u0074itle": "[[[[[[\"{{{{"}', '[[[[[["{{{{'),
        (b'\n\t{"title": "' + b"9" * 200 + b'"}\r\n', "9" * 200),
        (b'{"title": "Buy milk", "priority": 1.5e3, "tags": [[{"a": null}]]}', "Buy milk"),
    ],
    ids=[
        "escaped pair",
        "escaped backslashes",
        "brackets in a string",
        "digits in a string",
        "ignored members",
    ],
)
def test_what_only_looks_odd_is_taken(ada: User, content: bytes, title: str):
    assert post(ada, content).json()["title"] == title


def test_no_body_is_400_where_one_is_required(ada: User):
    answer = post(ada, b"")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"in": "body", "pointer": "", "keyword": "required"}]


def test_faults_of_query_and_body_are_named_at_once(ada: User):
    answer = ada.request("POST", "?undeclared=1", json={"title": ""})
    assert {fault["in"] for fault in answer.json()["errors"]} == {"query", "body"}


# How large a body is, and how it comes.


def test_body_may_come_in_chunks(ada: User):
    assert post(ada, iter([TASK[:7], b"", TASK[7:]])).json()["title"] == "Buy milk"


def test_optional_body_may_be_chunks_of_nothing(ada: User):
    assert ada.complete(ada.create_task()["id"], content=iter([b""])).json()["completed"] is True


def test_optional_body_in_chunks_is_read(ada: User):
    task = ada.create_task(completed=True)
    chunks = iter([b'{"completed":', b" true}"])
    assert ada.complete(task["id"], content=chunks, headers=JSON).json()["completed"] is True


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 201), (MAX_BODY_BYTES + 1, 413)])
def test_body_over_the_limit_is_413(ada: User, chunked: bool, size: int, status: int):
    content = TASK.ljust(size)
    assert post(ada, iter([content[:99], content[99:]]) if chunked else content).status_code == status


def test_body_that_says_it_is_too_large_is_not_waited_for(wire: HTTPConnection, ada: User):
    wire.request("POST", ada.tasks, headers=ada.headers | JSON | {"Content-Length": str(10**9)})
    assert wire.getresponse().status == 413


# Paths and methods.


@pytest.mark.parametrize(
    "target",
    [
        "/api/{id}%2Ftasks", "/api/{id}%2ftasks", "/api/x%2F..%2F{id}/tasks", "/api/{id}/tasks%2F{task}",
        "//api/{id}/tasks", "/api//{id}/tasks", "/api/{id}//tasks", "/api/{id}/tasks//{task}",
        "/api/{id}/tasks/{task}//complete",
        "/api/{id}/tasks%00", "/api/{id}%00/tasks", "/api/{id}/tasks/{task}%0A", "/api/{id}%0A/tasks",
        "/api/{id}/tasks/{task}%0D%0A", "/api/{id}/tasks/{task}%7F", "/api/{id}/tasks/{task}%C2%85",
        "/api/./{id}/tasks", "/api/x/../{id}/tasks", "/api/{id}/tasks/.", "/api/{id}/tasks/%2E%2E/tasks",
        "/API/{id}/tasks", "/api/{id}/Tasks", "/api/{id}/tasks;x=1", "/api/{id}/tasks.json",
        "/api/{id}/tasks%3Fstatus=all", "/api/{id}/tasks%20", "/api/{id}/tasks%5C{task}",
    ],
)  # fmt: skip
def test_path_that_others_could_read_as_another_is_404(wire: HTTPConnection, ada: User, target: str):
    answer = get(wire, target.format(id=ada.id, task=ada.create_task()["id"]), ada)
    assert (answer.status, answer.getheader("Location")) == (404, None)


@pytest.mark.parametrize("path", PATHS)
def test_trailing_slash_is_404_and_no_redirect(wire: HTTPConnection, ada: User, path: str):
    answer = get(wire, path.format(user_id=ada.id, task_id=ada.create_task()["id"]) + "/", ada)
    assert (answer.status, answer.getheader("Location")) == (404, None)


@pytest.mark.parametrize("path", PATHS)
def test_method_the_path_does_not_have_is_405_with_those_it_has(ada: User, path: str):
    allowed = {name.upper() for name in PATHS[path]} - {"PARAMETERS"}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
        answer = ada.http.request(method, path.format(user_id=ada.id, task_id=1), headers=ada.headers)
        assert answer.status_code == 405
        assert answer.headers["allow"].split(", ") == sorted(allowed)


@pytest.mark.parametrize("path", [path for path in PATHS if "get" in PATHS[path]])
def test_head_answers_as_get_does_without_the_body(ada: User, path: str):
    url = path.format(user_id=ada.id, task_id=ada.create_task()["id"])
    head, got = (ada.http.request(method, url, headers=ada.headers) for method in ("HEAD", "GET"))
    each_time_anew = ("date", "x-request-id", "content-length")  # the last for /metrics
    for answer in (head, got):
        for name in each_time_anew:
            answer.headers.pop(name, None)
    assert (head.status_code, head.headers) == (got.status_code, got.headers)
    assert got.content
    assert not head.content


# What every answer carries.

ANSWERS = {
    "200": ("GET", "", {}),
    "preflight": ("OPTIONS", "", {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}),
    "400": ("GET", "?undeclared", {}),
    "401": ("GET", "", {"Authorization": "Bearer nonsense"}),
    "404 for a task": ("GET", "/1", {}),
    "404 for a path": ("GET", "/1%2F2", {}),
    "405": ("TRACE", "", {}),
    "415": ("POST", "", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize(("method", "path", "headers"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_is_named_and_names_no_software(ada: User, method: str, path: str, headers: dict):
    answers = [ada.request(method, path, headers=headers) for _ in range(2)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            assert answer.json()["status"] == answer.status_code


def test_two_authorization_headers_are_401(ada: User):
    headers = [*ada.headers.items()] * 2
    answer = ada.http.get(ada.tasks, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


# No problem repeats what was sent.

CANARY = "canary-7f3a9c"
SENT = {
    "title too long": (400, "POST", "", JSON, f'{{"title": "{CANARY * 20}"}}'),
    "title of the wrong type": (400, "POST", "", JSON, f'{{"title": ["{CANARY}"], "completed": "{CANARY}"}}'),
    "name of a member": (400, "POST", "", JSON, f'{{"{CANARY}": 1}}'),
    "name of two members": (400, "POST", "", JSON, f'{{"{CANARY}": 1, "{CANARY}": 2}}'),
    "no JSON": (400, "POST", "", JSON, f'{{"title": "{CANARY}'),
    "name of a parameter": (400, "GET", f"?{CANARY}=1", {}, None),
    "value of parameters": (400, "GET", f"?status={CANARY}&limit={CANARY}&order={CANARY}", {}, None),
    "cursor": (400, "GET", f"?cursor={CANARY}", {}, None),
    "token": (401, "GET", "", {"Authorization": f"Bearer {CANARY}"}, None),
    "scheme": (401, "GET", "", {"Authorization": f"{CANARY} x"}, None),
    "id": (404, "GET", f"/{CANARY}", {}, None),
    "path": (404, "GET", f"/1/{CANARY}", {}, None),
    "request id": (404, "GET", "/1", {"X-Request-Id": CANARY, "X-Correlation-Id": CANARY}, None),
    "origin": (404, "GET", "/1", {"Origin": f"http://{CANARY}"}, None),
    "parameter of a method that is not there": (405, "TRACE", f"?{CANARY}", {}, None),
    "too large": (413, "POST", "", JSON, CANARY * 6000),
    "type": (415, "POST", "", {"Content-Type": f"application/{CANARY}"}, TASK),
    "charset": (415, "POST", "", {"Content-Type": f"application/json; charset={CANARY}"}, TASK),
    "coding": (415, "POST", "", JSON | {"Content-Encoding": CANARY}, TASK),
}
CREDENTIALS = {
    "email that is none": (400, "signup", CANARY, CANARY),
    "password too short": (400, "signup", f"{CANARY}@example.com", CANARY[:7]),
    "password over 256 characters": (400, "signup", f"{CANARY}@example.com", CANARY * 20),
    "password over 72 bytes": (422, "signup", f"{CANARY}@example.com", CANARY * 6),
    "login": (401, "login", f"{CANARY}@example.com", CANARY),
}


def assert_says_nothing_of_it(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY[:7] not in f"{answer.headers!r} {answer.text}"


@pytest.mark.parametrize(("status", "method", "path", "headers", "content"), SENT.values(), ids=SENT)
def test_problem_never_repeats_what_was_sent(
    ada: User, status: int, method: str, path: str, headers: dict, content: Any
):
    answer = ada.request(method, path, headers=headers, content=content)
    assert answer.status_code == status
    assert_says_nothing_of_it(answer)


def test_problem_never_repeats_whose_path_it_was(ada: User):
    answer = ada.http.get(f"/api/{CANARY}/tasks", headers=ada.headers)
    assert answer.status_code == 403
    assert_says_nothing_of_it(answer)


@pytest.mark.parametrize(("status", "path", "email", "password"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_problem_never_repeats_credentials(
    accounts: httpx.Client, status: int, path: str, email: str, password: str
):
    answer = accounts.post(f"/api/auth/{path}", json={"email": email, "password": password})
    assert answer.status_code == status
    assert_says_nothing_of_it(answer)


# The server reads one request at a time, so that one it takes long to read holds up everyone.


@pytest.mark.parametrize(
    "body", [b'{"title": "' + b'\\"' * 30_000, b'"\\' * 30_000, b"[" * 60_000, b"9" * 60_000]
)
def test_body_without_an_end_is_refused_at_once(ada: User, body: bytes):
    assert ada.request("POST", content=body, headers=JSON, timeout=2).status_code == 400
