"""Nothing sent beside the path says whose tasks a request is for; and a wall that is down is seen."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.ownership_matrix import Reading, Spot, Trick, Wall, standing
from tests.support.places import BOB, HEADS, OPERATIONS, TOKENS
from tests.support.server import run_server
from tests.support.users import SECRET

# Filled in with the other's id, a task of theirs, their token, and another method than the one sent.
HEADERS = {
    # What a proxy or a framework puts its own reading of a request into. All of a kind are sent at once.
    "another method": dict.fromkeys((
        "X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X_HTTP_METHOD_OVERRIDE",
        "_method"), "{method}"),
    "another path": dict.fromkeys((
        "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Request-URI", "X-Forwarded-Path",
        "X-Forwarded-URI", "Request-URI", "Content-Location", "Referer", "Destination",
    ), "/api/{user}/tasks/{task}"),
    "another prefix": dict.fromkeys((
        "X-Forwarded-Prefix", "X-Script-Name", "X-Base-Path", "SCRIPT_NAME", "PATH_INFO"), "/api/{user}"),
    "another user": dict.fromkeys((
        "X-User-Id", "X_USER_ID", "User-Id", "X-User", "X-Forwarded-User", "X-Auth-Request-User",
        "X-Remote-User", "Remote-User", "REMOTE_USER", "X-WebAuth-User", "X-Authenticated-UserId",
        "X-Impersonate-User", "Impersonate-User", "X-Sub", "X-Owner", "X-Tenant-Id", "From"), "{user}"),
    # A token is looked for in one place.
    "another's token, named": dict.fromkeys((
        "Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization",
        "X_AUTHORIZATION"), "Bearer {token}"),
    "another's token, bare": dict.fromkeys((
        "X-Access-Token", "X-Auth-Token", "X-Forwarded-Access-Token", "Token"), "{token}"),
    "another's cookies": {"Cookie": "better-auth.session_token={token}; token={token}; user_id={user}"},
    "a token that a proxy would drop": {"Connection": "keep-alive, Authorization", "Keep-Alive": "max=9"},
    # Where the request came in is not whose it is.
    "another host": {"Host": "{user}.example.com:80", "X-Forwarded-Host": "{user}", "X-Host": "{user}"},
    "a path in the host": {"Host": "todo.example.com/api/{user}/tasks?"},
    "a friend of the house": {
        "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Via": "1.1 {user}",
        "Forwarded": "for=127.0.0.1;host={user};proto=https;path=/api/{user}", "X-Forwarded-Proto": "https"},
}  # fmt: skip

# Each is undeclared, and so refused, instead of ignored by one and obeyed by another.
QUERIES = [
    *(f"{name}={{user}}" for name in (
        "user_id", "userId", "USER_ID", "%75ser_id", "user_id[]", "user_id[$ne]", "filter[user_id]", "owner",
        "sub", "__proto__[user_id]", "constructor.prototype.user_id")),
    "user_id={own}&user_id={user}", "user_id={own};user_id={user}", "?user_id={user}",
    "a=1%26user_id={user}", "task_id={task}", "id={task}", "_method={method}", "access_token={token}",
]  # fmt: skip

# What is put into the body that the contract shows. `o` is the other's id, `task` a task of theirs.
MEMBERS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "the owner": lambda o, _: dict.fromkeys(("user_id", "owner", "owner_id", "sub", "user", "created_by"), o),
    "the owner in other cases": lambda o, _: dict.fromkeys(("userId", "USER_ID", "User_Id", "user-id"), o),
    "the task": lambda _, task: dict.fromkeys(("id", "task_id", "taskId", "ID", "pk", "rowid"), task),
    "owner and task": lambda o, task: {"user_id": o, "id": task},
    "nested": lambda o, task: {"user": {"id": o}, "task": {"user_id": o, "id": task, "title": "taken"}},
    "the path": lambda o, task: {"path": {"user_id": o, "task_id": task}, "path_params": {"user_id": o}},
    "arrays": lambda o, task: {"user_id": [o], "id": [task]},
    "operators": lambda o, _: {"user_id": {"$eq": o}, "$set": {"user_id": o}},
    "the prototype": lambda o, task: {"__proto__": {"user_id": o, "id": task}},
    "the constructor": lambda o, _: {"constructor": {"prototype": {"user_id": o}}},
    "the class": lambda o, _: {"__class__": "Task", "__dict__": {"user_id": o}, "__init__": {"owner": o}},
    "what statements name": lambda o, task: {"owner": o, "task_id": task, "now": None, "new_title": "taken"},
    "the method": lambda *_: {"_method": "DELETE", "method": "DELETE"},
}
BODIES: dict[str, Callable[[str, int, Any], Any]] = {
    "an array": lambda o, _, body: [body, body | {"user_id": o}],
    "a JSON patch": lambda o, *_: [{"op": "replace", "path": "/user_id", "value": o}],
    "the member twice": lambda o, _, body: (
        json.dumps(body)[:-1] + f',"user_id":"a","user_id":"{o}"}}'
    ).encode(),
    "a form": lambda o, task, _: f"title=taken&user_id={o}&id={task}&_method=DELETE".encode(),
    "SQL": lambda o, *_: json.dumps(f"'; UPDATE tasks SET user_id = '{o}'").encode(),
}


def other_method(method: str) -> str:
    return "GET" if method == "DELETE" else "DELETE"


def filled_in(template: str, spot: Spot) -> str:
    return template.format(
        own=spot.user,
        user=spot.other,
        task=spot.others_task,
        token=TOKENS[spot.other],
        method=other_method(spot.operation.method),
    )


@pytest.mark.parametrize("fields", HEADERS.values(), ids=HEADERS)
def test_headers_do_not_say_whose(wall: Wall, fields: dict[str, str]):
    def headers(spot: Spot) -> dict[str, str]:
        return {name: filled_in(value, spot) for name, value in fields.items()}

    assert wall.faults(OPERATIONS + HEADS, Trick(Reading.PLAIN, headers=headers)) == []


@pytest.mark.parametrize("query", QUERIES)
def test_query_does_not_say_whose(wall: Wall, query: str):
    trick = Trick(Reading.INVALID, lambda spot: f"{spot.path}?{filled_in(query, spot)}")
    assert wall.faults(OPERATIONS, trick) == []


@pytest.mark.parametrize("members", MEMBERS.values(), ids=MEMBERS)
def test_member_of_a_body_does_not_say_whose(wall: Wall, members: Callable[[str, int], dict[str, Any]]):
    def body(spot: Spot) -> dict[str, Any]:
        return {**(spot.operation.body or {}), **members(spot.other, spot.others_task)}

    assert wall.faults(OPERATIONS, Trick(Reading.PLAIN, body=body)) == []


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_body_of_another_kind_does_not_say_whose(wall: Wall, make: Callable[[str, int, Any], Any]):
    def body(spot: Spot) -> Any:
        return make(spot.other, spot.others_task, spot.operation.body)

    with_body = [operation for operation in OPERATIONS if operation.body is not None]
    assert wall.faults(with_body, Trick(Reading.INVALID, body=body)) == []


def test_walls_are_tried_by_every_verb():
    verbs = {"list", "create", "get", "put", "patch", "complete", "delete"}
    assert {operation.id for operation in OPERATIONS} >= {f"tasks.{verb}" for verb in verbs}


# A leak, the operation it is in, what tries it there, and what is to be found.
LEAKS = {
    "lists_forget_the_owner": ("list", Trick(Reading.PLAIN), "gives away the-canary-of-bob"),
    "deletes_forget_the_owner": ("delete", Trick(Reading.PLAIN), f"changes [('{BOB}'"),
    "the_hook_believes_the_path": ("patch", Trick(Reading.PLAIN), "gives 200, not 403"),
    "the_hook_forgets_case": (
        "list",
        Trick(Reading.SOMEONE, lambda spot: spot.path_with(user=spot.user.upper())),
        "gives 200, not 403",
    ),
    "bodies_say_whose": (
        "create",
        Trick(Reading.PLAIN, body=lambda spot: {"title": "x", "user_id": spot.other}),
        f"changes [('{BOB}'",
    ),
    "a_header_says_the_method": (
        "get",
        Trick(Reading.PLAIN, headers=lambda _: {"X-HTTP-Method-Override": "DELETE"}),
        "gives 204, not 200",
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_wall_that_is_down_is_seen(leak: str, tmp_path: Path):
    verb, trick, finding = LEAKS[leak]
    command = (sys.executable, "-m", "tests.contract.leaky", leak, "serve")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "BETTER_AUTH_SECRET": SECRET}
    with run_server(tmp_path, command, **settings) as server, standing(server) as wall:
        found = wall.faults([o for o in OPERATIONS if o.id == f"tasks.{verb}"], trick)
    assert any(finding in fault for fault in found)
