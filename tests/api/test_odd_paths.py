"""Each path has one reading: another spelling of it is the same path, another user's, or not found.

Ada sends every operation to her own path and to Bob's, each path spelled in every way of the tables below.
"""

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

import pytest

from tests.support.contract_checks import CONTRACT, Operation
from tests.support.databases import on_sqlite
from tests.support.ownership_matrix import ADA, BOB, NO_TOKEN, OPERATIONS, Target, TwoUsers, find_leaks
from tests.support.raw_http import exchange
from tests.support.server import Server
from tests.support.users import User

pytestmark = on_sqlite

SAME, FORBIDDEN, NO_TASK, NO_PATH, UNREADABLE = "same", 403, "no task", 404, 400
DELETE_LAST = sorted(OPERATIONS, key=lambda found: (found.method == "DELETE", found.id == "tasks.clear"))
ON_A_TASK = [operation for operation in DELETE_LAST if "{task_id}" in operation.path]

# Templates of the user id: `u` is the user of the path, `o` the other, `head` and `tail` the parts of `u`.
USER_IDS = {
    SAME: [  # decoded once, the same id (RFC 3986 6.2.2.2)
        "{head_encoded}{tail}", "{encoded}", "{encoded_in_capitals}",
    ],
    FORBIDDEN: [
        # Decoded once more, or more leniently than RFC 3986 allows.
        "{encoded_twice}", "{encoded_three_times}", "%u{code:04x}{tail}", "%c1%{overlong:02x}{tail}", "{u}%",
        "&%23{code};{tail}", "\\x{code:02x}{tail}", "%FF",
        # Folded in case or normalized (NFKC).
        "{capitals}", "{capitalized}", "{full_width}{tail}", "{kelvin}", "{dotless_i}", "{dotted_i}",
        "{long_s}", "{cyrillic}", "{hyphen}", "{u}%cc%81",
        # Stripped of characters that do not show.
        "{u}%e2%80%8d", "{u}%c2%ad", "%ef%bb%bf{u}", "%e2%80%8f{u}", "{u}%E2%80%AE", "{u}%20", "%20{u}",
        "{u}+", "{u}%c2%a0", "{u}.",
        # Cut off at a character, or split there.
        "{u}%c0%80{o}", "{u};a=b", "{u};x=1", "{u};user_id={o}", ";user_id={u}", "{u}%3f",
        "{u}%3fuser_id={o}", "{u}%23{o}", "{u},{o}", "{u}|{o}", "{u}@{o}", "{u}:{o}", "{u}\\{o}", "[{u},{o}]",
        # Read as several segments by a proxy or a file system.
        "{o}%252f..%252f{u}", "{o}%c0%af..%c0%af{u}", "{o}%ef%bc%8f..%ef%bc%8f{u}", "{o}%5c..%5c{u}",
        "{o}\\..\\{u}", ".", "..", "%2e%2e",
        # Read as a pattern, as SQL, as a template, as an alias.
        "*", "{head}%25", "{underscores}", "{u}'%20or%20user_id='{o}", "{{user_id}}", "me",
        "a" * 5000,
    ],
    NO_PATH: [
        # Control characters.
        "{u}%09", "{u}%0a", "{u}%0d%0aX-User-Id:%20{o}", "{u}%0D%0ASet-Cookie:x", "{u}%1B", "{u}%7f",
        "{u}%c2%85", "{u}%00", "{u}%00{o}",
        # Slashes.
        "{o}%2f..%2f{u}", "{o}%2F%2E%2E%2F{u}", "x%2F..%2F{u}", "{u}%2f", "{u}%2F{o}",
        "{nothing}",
    ],
    UNREADABLE: [  # not a request line (RFC 9112 3)
        "{u}\xc3\xa9", "\xff\xfe", "{u}\0", "{u} ", "{u}\t",
    ],
}  # fmt: skip

# Templates of the task's id `t`.
TASK_IDS = {
    SAME: ["{encoded}"],
    NO_TASK: ["{plus_2_32}", "{plus_2_63}", f"{2**63}", "9" * 19],  # the same number in fewer bits
    NO_PATH: [
        "{encoded_twice}",
        # The same number to a lenient int().
        "0{t}", "+{t}", "%2b{t}", "-{t}", "%20{t}", "{t}%20", "{t}%0a", "{t}%0D%0A", "{t}%00", "{t}%7F",
        "{t}%C2%85", "0_{t}", "{t}_", "{full_width}", "{arabic}", "{mathematical}",
        # The same number to float(), int(x, 0) or eval().
        "{t}.0", "{t}.", "{t}e0", "{t}e1", "0x{t:x}", "0o{t:o}", "%22{t}%22",
        # The same number in fewer bits.
        "{plus_2_64}", "{plus_2_128}", "{minus_2_64}", "5" * 5000,
        # Split, it is the number and something else.
        "1,{t}", "1%2c{t}", "1;{t}", "{t};a=b", "1-{t}", "{t}.json", "{t}%3f", "1%2f..%2f{t}", "1%5c..%5c{t}",
        "[{t}]",
        # Not a number.
        "*", "{t}%20or%201=1", "0", "-1", "task",
    ],
}  # fmt: skip

# Templates of the whole path: `rest` comes after "/api", `end` after "/api/{user_id}/tasks".
PATHS = {
    SAME: [
        "/%61pi{rest}", "/api/{u}/%74asks{end}",
        # An absolute URL: its authority does not matter (RFC 9112 3.2.2).
        "http://todo.example.com{path}", "https://{o}:443{path}", "http://{o}@todo.example.com{path}",
        "{path}?", "{path}#/../../{o}/tasks",
    ],
    NO_PATH: [
        *(f"{{slash_{number}_doubled}}" for number in (1, 2, 3, 4, 5)),
        *(f"{{slash_{number}_{how}}}" for how in ("encoded", "ENCODED") for number in (2, 3, 4, 5)),
        "{slash_3_encoded_twice}", "{slash_3_backslash}", "{slash_4_BACKSLASH}", "{slash_3_full_width}",
        # Something at the end, which a lenient router removes.
        "{path}/", "{path}//", "{path}%2f", "{path}/.", "{path}.", "{path}%20", "{path}%09", "{path}%00",
        "{path}%0A", "{path}%0D%0A", "{path}%7F", "{path}%C2%85", "{path}.json", "{path};a=b", "{path};x=1",
        "{path}%3fuser_id={o}", "{path}%3Fstatus=all", "{path}%23",
        # Case, and a letter that is another one after NFKC.
        "/API{rest}", "/api/{u}/Tasks{end}", "/api/{u}/%ef%bd%94asks{end}",
        # By way of another path, and back: dot segments are not removed (RFC 3986 5.2.4).
        *(f"/api/{{o}}/{segments}{{rest}}" for segments in (
            "..", "%2e%2e", ".%2E", "%252e%252e", "%c0%ae%c0%ae", "..;", "..%5c..", "tasks/../..")),
        "/api/{o}/tasks/{others_task}/../../..{rest}", "/api/x/..{rest}", "/api/auth/..{rest}",
        "/health/..{path}", "/..{path}", "/api/.{rest}", "/api/{u}/%2e/tasks{end}",
        "/api/{u}/tasks/%2E%2E/tasks{end}", "//todo.example.com{path}", "http://a/api/{o}/..{rest}",
        # The path ends too early.
        "/api/{u}#/tasks{end}", "/api/{u}?/tasks{end}",
        "/{backslashes}", "{rest}", "/api{path}", "/api/v1{rest}",
    ],
    UNREADABLE: ["{relative}", "\\{backslashes}"],
}  # fmt: skip

OUTSIDE_OF_TASKS = [
    "/openapi.json/", "/docs/the-canary", "/docs/../app.py", "/docs/%2e%2e/app.py", "/docs/..%2fapp.py",
    "/docs/docs.js/", "/docs//docs.js", "/docs//",
    *(f"{path}/" for path in CONTRACT["paths"]),
]  # fmt: skip


Table = dict[str | int, list[str]]
Spell = Callable[[str, Target], str]


def encode(text: str, *, capitals: bool = False) -> str:
    """Percent-encode every byte, which no client does."""
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())
    return encoded.upper() if capitals else encoded


def spell_user(template: str, target: Target) -> str:
    u = target.user
    fields = {
        "u": u, "o": target.other, "head": u[0], "tail": u[1:], "code": ord(u[0]), "nothing": "",
        "head_encoded": encode(u[0]), "encoded": encode(u), "encoded_in_capitals": encode(u, capitals=True),
        "encoded_twice": quote(encode(u)), "encoded_three_times": quote(quote(encode(u))),
        "overlong": ord(u[0]) + 0x40, "capitals": u.upper(), "capitalized": u.capitalize(),
        "underscores": "_" * len(u), "full_width": quote(chr(ord(u[0]) + 0xFEE0)),
        "kelvin": quote(u.replace("k", "\u212a")), "dotless_i": quote(u.replace("i", "\u0131")),
        "dotted_i": quote(u.replace("i", "\u0130")), "long_s": quote(u.replace("s", "\u017f")),
        "cyrillic": quote(u.translate(str.maketrans("ao", "\u0430\u043e"))),
        "hyphen": quote(u.replace("-", "\u2010")),
    }  # fmt: skip
    spelled = template.format(**fields)
    return target.operation.path.format(user_id=spelled, task_id=target.task)


def spell_task(template: str, target: Target) -> str:
    t = target.task
    fields = {
        "t": t, "encoded": encode(str(t)), "encoded_twice": quote(encode(str(t))),
        "full_width": in_digits(t, 0xFF10), "arabic": in_digits(t, 0x660),
        "mathematical": in_digits(t, 0x1D7CE), "plus_2_32": t + 2**32,
        "plus_2_63": t % 1000 + 2**63, "plus_2_64": t + 2**64, "plus_2_128": t + 2**128,
        "minus_2_64": t - 2**64,
    }  # fmt: skip
    return target.path(task=template.format(**fields))


def in_digits(number: int, zero: int) -> str:
    """Return the number in the digits of another script."""
    return "".join(quote(chr(zero + int(digit))) for digit in str(number))


def spell_path(template: str, target: Target) -> str:
    path = target.path()
    fields = {
        "path": path, "u": target.user, "o": target.other, "others_task": target.others_task,
        "rest": path.removeprefix("/api"), "end": path.partition("/tasks")[2],
        "relative": path[1:], "backslashes": path[1:].replace("/", "\\"),
    } | {
        f"slash_{number}_{how}": respell_slash(path, number, spelled)
        for number in (1, 2, 3, 4, 5)
        for how, spelled in {
            "doubled": "//", "encoded": "%2f", "ENCODED": "%2F", "encoded_twice": "%252f",
            "backslash": "%5c", "BACKSLASH": "%5C", "full_width": "%ef%bc%8f",
        }.items()
    }  # fmt: skip
    return template.format(**fields)


def respell_slash(path: str, number: int, spelled: str) -> str:
    """Spell the slash of this number, or the last one of a shorter path, in another way."""
    parts = path.split("/")
    at = min(number, len(parts) - 1)
    return "/".join(parts[:at]) + spelled + "/".join(parts[at:])


def expected_statuses(meaning: str | int, operation: Operation) -> tuple[int, int, int]:
    """Return the status on Ada's own path, on Bob's path, and without a token."""
    if meaning in {NO_PATH, UNREADABLE}:
        return int(meaning), int(meaning), int(meaning)
    own = {SAME: operation.success, FORBIDDEN: 403, NO_TASK: 404}[meaning]
    return own, 403, 401


def find_failures(
    users: TwoUsers, operations: list[Operation], meaning: str | int, spell: Callable[[Target], str]
) -> Iterator[str]:
    for operation in operations:
        own = Target(operation, ADA, users.tasks[ADA], BOB, users.tasks[BOB])
        bobs = Target(operation, BOB, users.tasks[BOB], ADA, users.tasks[ADA])
        own_status, bobs_status, tokenless_status = expected_statuses(meaning, operation)
        tries = [(ADA, own, own_status), (ADA, bobs, bobs_status)]
        if operation.method == "GET":
            tries.append((NO_TOKEN, own, tokenless_status))
        if operations is ON_A_TASK:
            bobs_task_status = 404 if own_status < 300 else own_status
            tries.append((ADA, own._replace(task=users.tasks[BOB]), bobs_task_status))
        for sender, target, status in tries:
            yield from find_failures_of_one(users, sender, operation, spell(target), status)
    changed = users.changed_rows()
    if changed:
        users.restore()
    if {owner for owner, _ in changed} - ({ADA} if meaning == SAME else set()):
        yield f"{spell(own)} changes {changed}"


def find_failures_of_one(
    users: TwoUsers, sender: str, operation: Operation, path: str, expected: int
) -> Iterator[str]:
    query = operation.query.replace("?", "&") if "?" in path else operation.query
    plain, mark, fragment = path.partition("#")
    response = users.send(sender, operation.method, plain + query + mark + fragment, body=operation.body)
    sent = f"{sender}: {operation.method} {path[:200]}"
    if response.status != expected:
        yield f"{sent} is {response.status}, not {expected}"
    if response.status != 201 and "location" in response.headers:
        yield f"{sent} is redirected"
    yield from (f"{sent} returns {word}" for word in find_leaks(sender, response))


@pytest.mark.parametrize(
    ("table", "spell", "operations"),
    [
        pytest.param(USER_IDS, spell_user, DELETE_LAST, id="user ids"),
        pytest.param(TASK_IDS, spell_task, ON_A_TASK, id="task ids"),
        pytest.param(PATHS, spell_path, DELETE_LAST, id="paths"),
    ],
)
def test_every_spelling_of_a_path_has_one_reading(
    two_users: TwoUsers, table: Table, spell: Spell, operations: list[Operation]
):
    failures = [
        failure
        for meaning, templates in table.items()
        for template in templates
        for failure in find_failures(two_users, operations, meaning, partial(spell, template))
    ]
    assert failures == []


def test_odd_path_outside_of_tasks_is_404_without_a_redirect(secret_server: Server, ada: User):
    for path in OUTSIDE_OF_TASKS:
        target = path.format(user_id=ada.id, task_id=1)
        head = f"GET {target} HTTP/1.1\r\nHost: todo.example.com\r\nAuthorization: Bearer {ada.token}\r\n\r\n"
        response = exchange(secret_server.url, head.encode())
        assert (response.status, response.headers.get("location")) == (404, None), target


def test_root_redirects_to_the_docs_below_any_prefix_of_a_proxy(ada: User):
    for method in ("GET", "HEAD"):
        response = ada.http.request(method, "/")
        assert (response.status_code, response.headers["location"]) == (307, "docs/")
        assert response.headers["cache-control"] == "no-store"
    assert ada.http.post("/").status_code == 404


@pytest.mark.parametrize("path", CONTRACT["paths"])
def test_method_that_a_path_does_not_have_is_405_with_those_that_it_has(ada: User, path: str):
    allowed = {method.upper() for method in CONTRACT["paths"][path]} - {"PARAMETERS"}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
        response = ada.http.request(method, path.format(user_id=ada.id, task_id=1), headers=ada.headers)
        assert response.status_code == 405
        assert response.headers["allow"].split(", ") == sorted(allowed)
