"""Only the path and the token name the owner of the tasks: no header, query or body does."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.databases import on_sqlite
from tests.support.ownership_matrix import (
    ADA,
    HEADS,
    NO_TOKEN,
    OPERATIONS,
    PLACES,
    SENDERS,
    Target,
    Trick,
    TwoUsers,
)

TRIED_AT = [place for place in PLACES if (place.path_of, place.task_of) != ("other's", "missing")]
WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]

# Filled in with the other user's id, a task and the token of theirs, and another method than the one sent.
HEADERS = {
    # Where a proxy or a framework writes its own reading of a request. All of a kind are sent at once.
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
    # Only one header holds the token.
    "another's token, with its scheme": dict.fromkeys((
        "Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization",
        "X_AUTHORIZATION"), "Bearer {token}"),
    "another's token, without a scheme": dict.fromkeys((
        "X-Access-Token", "X-Auth-Token", "X-Forwarded-Access-Token", "Token"), "{token}"),
    "another's cookies": {"Cookie": "better-auth.session_token={token}; token={token}; user_id={user}"},
    "a token that a proxy would remove": {"Connection": "keep-alive, Authorization", "Keep-Alive": "max=9"},
    # The host and the client's address do not name the owner.
    "another host": {"Host": "{user}.example.com:80", "X-Forwarded-Host": "{user}", "X-Host": "{user}"},
    "a path in the host": {"Host": "todo.example.com/api/{user}/tasks?"},
    "a local address": {
        "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Via": "1.1 {user}",
        "Forwarded": "for=127.0.0.1;host={user};proto=https;path=/api/{user}", "X-Forwarded-Proto": "https"},
}  # fmt: skip

# Each parameter is undeclared, and so rejected.
QUERIES = [
    *(f"{name}={{user}}" for name in (
        "user_id", "userId", "USER_ID", "%75ser_id", "user_id[]", "user_id[$ne]", "filter[user_id]", "owner",
        "sub", "__proto__[user_id]", "constructor.prototype.user_id")),
    "user_id={own}&user_id={user}", "user_id={own};user_id={user}", "?user_id={user}",
    "a=1%26user_id={user}", "task_id={task}", "id={task}", "_method={method}", "access_token={token}",
]  # fmt: skip

# Members added to the contract's example. `o` is the other user's id, `task` a task of theirs.
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
    "names in the statements": lambda o, task: {
        "owner": o, "task_id": task, "now": None, "new_title": "taken"},
    "the method": lambda *_: {"_method": "DELETE", "method": "DELETE"},
}  # fmt: skip

# Bodies that are not of the contract's kind.
BODIES: dict[str, Callable[[str, int, Any], Any]] = {
    "an array": lambda o, _, body: [body, body | {"user_id": o}],
    "a JSON patch": lambda o, *_: [{"op": "replace", "path": "/user_id", "value": o}],
    "a member twice": lambda o, _, body: (
        json.dumps(body)[:-1] + f',"user_id":"a","user_id":"{o}"}}'
    ).encode(),
    "a form": lambda o, task, _: f"title=taken&user_id={o}&id={task}&_method=DELETE".encode(),
    "SQL": lambda o, *_: json.dumps(f"'; UPDATE tasks SET user_id = '{o}'").encode(),
}


def fill_in(template: str, target: Target) -> str:
    return template.format(
        own=target.user,
        user=target.other,
        task=target.others_task,
        token=SENDERS[target.other],
        method="GET" if target.operation.method == "DELETE" else "DELETE",
    )


@on_sqlite
@pytest.mark.parametrize("name", HEADERS)
def test_no_header_names_another_owner(two_users: TwoUsers, name: str):
    def headers(target: Target) -> dict[str, str]:
        return {header: fill_in(value, target) for header, value in HEADERS[name].items()}

    trick = Trick(headers=headers)
    assert two_users.find_failures(OPERATIONS + HEADS, [ADA, NO_TOKEN], TRIED_AT, trick) == []


@on_sqlite
def test_no_query_names_another_owner(two_users: TwoUsers):
    for query in QUERIES:
        trick = Trick(query=lambda target: "?" + fill_in(query, target), is_invalid=True)  # noqa: B023
        assert two_users.find_failures(OPERATIONS, [ADA], TRIED_AT, trick) == []


@on_sqlite
def test_no_member_of_a_body_names_another_owner(two_users: TwoUsers):
    for members in MEMBERS.values():

        def body(target: Target) -> dict[str, Any]:
            return {**(target.operation.body or {}), **members(target.other, target.others_task)}  # noqa: B023

        assert two_users.find_failures(OPERATIONS, [ADA], TRIED_AT, Trick(body=body)) == []


@on_sqlite
def test_no_other_kind_of_body_names_another_owner(two_users: TwoUsers):
    for make in BODIES.values():

        def body(target: Target) -> Any:
            return make(target.other, target.others_task, target.operation.body)  # noqa: B023

        trick = Trick(body=body, is_invalid=True)
        assert two_users.find_failures(WITH_BODY, [ADA], TRIED_AT, trick) == []
