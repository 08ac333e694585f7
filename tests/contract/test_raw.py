"""Bytes that no client's library sends: each gets one clear answer, without a 5xx, an echo or a redirect."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import RawResponse, connect, exchange, read_statuses
from tests.support.server import Server, run_server
from tests.support.users import SECRET, sign_token

CANARY = "canary-5f1d77"  # stands in each raw request; no answer may hold it
HOST = "Host: todo.example.com"
BEARER = f"Authorization: Bearer {sign_token('ada')}"
JSON = "Content-Type: application/json"
TASKS = "/api/ada/tasks"
MAX_BODY_BYTES = 65_536


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request with Host, token and a canary, and these headers."""
    return bare(line, HOST, BEARER, f"X-Canary: {CANARY}", *headers, body=body)


def bare(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request with these headers and no others."""
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1") + body


def get(target: str, *headers: str) -> bytes:
    return request(f"GET {target} HTTP/1.1", *headers)


def post(body: bytes | str, *headers: str, content_type: str = JSON) -> bytes:
    """A POST of a task with this body, whose length it says."""
    raw = body if isinstance(body, bytes) else body.encode()
    return request(f"POST {TASKS} HTTP/1.1", content_type, f"Content-Length: {len(raw)}", *headers, body=raw)


def promising(length: str) -> bytes:
    """A POST of a task that says its body is so long, and has none."""
    return request(f"POST {TASKS} HTTP/1.1", JSON, f"Content-Length: {length}")


def chunked(*chunks: str, headers: tuple[str, ...] = ("Transfer-Encoding: chunked",)) -> bytes:
    """A POST of a task whose chunks are spelled out."""
    return request(f"POST {TASKS} HTTP/1.1", JSON, *headers, body="".join(chunks).encode())


def task(**members: object) -> str:
    return json.dumps({"title": "Buy milk", "note": CANARY} | members)


ONE_CHUNK = f"{len(task()):x}\r\n{task()}\r\n"
END = "0\r\n\r\n"

REQUEST_LINES = {
    "no Host": (bare(f"GET {TASKS} HTTP/1.1", BEARER), 400),
    "two Hosts": (get(TASKS, f"Host: {CANARY}"), 400),
    "the same Host twice": (get(TASKS, HOST), 400),
    "HTTP/1.0 without Host": (bare(f"GET {TASKS} HTTP/1.0", BEARER), 400),
    "HTTP/1.0": (request(f"GET {TASKS} HTTP/1.0"), 200),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/9.9": (request(f"GET {TASKS} HTTP/9.9"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a method in lower case": (request(f"get {TASKS} HTTP/1.1"), 400),
    "a method that is none": (request(f"{CANARY} {TASKS} HTTP/1.1"), 400),
    "CONNECT": (request("CONNECT todo.example.com:443 HTTP/1.1"), 400),
    "TRACE": (request(f"TRACE {TASKS} HTTP/1.1"), 405),
    "OPTIONS of the server": (request("OPTIONS * HTTP/1.1"), 404),
    "a whole URL": (request(f"GET http://{CANARY}{TASKS} HTTP/1.1"), 200),
    "no target": (request("GET HTTP/1.1"), 400),
    "a tab for a space": (request(f"GET\t{TASKS} HTTP/1.1"), 400),
    "no version": (request(f"GET {TASKS}"), 400),
    "nothing but line ends, then a request": (b"\r\n\r\n" + get(TASKS), 200),
    "garbage": (b"\x00\x01\x02\x03" + CANARY.encode() + b"\r\n\r\n", 400),
    "the beginning of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    "raw bytes in the path": (get("/api/\xff\xfe/tasks"), 400),
    "NUL in the path": (get("/api/ada\x00/tasks"), 400),
}
PATHS = {
    f"path {target[:60]}": (get(target), status)
    for target, status in {
        f"/api/ada%2F{CANARY}/tasks": 404, "/api/ada%2ftasks": 404, "/api%2Fada/tasks": 404,
        "/api/ada%00/tasks": 404, "/api/ada%0a/tasks": 404, "/api/ada%0D%0ASet-Cookie:x/tasks": 404,
        "/api/ada%1B/tasks": 404, "/api/ada%7F/tasks": 404, "/api/ada%C2%85/tasks": 404,
        "/api/ada%E2%80%AE/tasks": 403, "//api/ada/tasks": 404, "/api//ada/tasks": 404,
        "/api/ada//tasks": 404, "/api/ada/tasks/": 404, "/api/ada/tasks//": 404, "/api//tasks": 404,
        "/api/./ada/tasks": 404, "/api/bob/../ada/tasks": 404, "/api/bob/%2e%2e/ada/tasks": 404,
        "/API/ada/tasks": 404, "/api/ada/Tasks": 404, "/api/ADA/tasks": 403, "/api/ada;x=1/tasks": 403,
        "/api/ada\\bob/tasks": 403, "/api/%FF/tasks": 403, f"/api/{CANARY}/tasks": 403,
        "/api/ada%20/tasks": 403, "/api/%61da/tasks": 200, "/openapi.json/": 404, f"/docs/{CANARY}": 404,
        "/docs/../app.py": 404, "/docs/%2e%2e/app.py": 404, "/docs/..%2fapp.py": 404,
        "/api/ada/tasks/+1": 404, "/api/ada/tasks/01": 404, "/api/ada/tasks/0": 404,
        "/api/ada/tasks/-1": 404, "/api/ada/tasks/1.0": 404, "/api/ada/tasks/1e1": 404,
        "/api/ada/tasks/0x1": 404, "/api/ada/tasks/%EF%BC%91": 404, "/api/ada/tasks/1%0A": 404,
        "/api/ada/tasks/1%20": 404, "/api/ada/tasks/9223372036854775808": 404,
        f"/api/ada/tasks/{'9' * 5000}": 404, f"/api/{'a' * 5000}/tasks": 403,
    }.items()
}  # fmt: skip
QUERIES = {
    f"query {query[:40]}": (get(f"{TASKS}?{query}"), status)
    for query, status in {
        "": 200, "&&": 200, "limit=5": 200, "limit=%35": 200, f"{CANARY}=1": 400, "limit=+5": 400,
        "limit=%2B5": 400, "limit=1_0": 400, "limit=%205": 400, "limit=5%0A": 400, "limit=5%00": 400,
        "limit=%EF%BC%95": 400, "limit=5.0": 400, "limit=": 400, "limit": 400, "limit=05": 400,
        "limit=5&limit=5": 400, "limit[]=5": 400, "limit=5;sort=title": 400, f"limit={'9' * 5000}": 400,
        f"sort={CANARY}": 400, "sort=%ff": 400, "sort=%zz": 400, "STATUS=all": 400, "status=all%00": 400,
        f"cursor={CANARY}": 400, "cursor=abc%0A": 400, f"cursor={'a' * 3000}": 400,
        f"user_id={CANARY}": 400, f"access_token={CANARY}": 400, f"_method={CANARY}": 400,
        "&".join(f"a{number}=1" for number in range(5000)): 400,
    }.items()
}  # fmt: skip
HEADERS = {
    "101 header fields": (get(TASKS, *(f"X-{number}: {CANARY}" for number in range(98))), 431),
    "100 header fields": (get(TASKS, *(f"X-{number}: {CANARY}" for number in range(97))), 200),
    "a header of 70 KiB": (get(TASKS, f"X-Long: {CANARY * 6000}"), 431),
    "headers that never end": (get(TASKS, f"X-Long: {CANARY * 20_000}")[:-4], 431),
    "a header without a colon": (get(TASKS, CANARY), 400),
    "a space before the colon": (get(TASKS, f"X-Space : {CANARY}"), 400),
    "a folded header": (get(TASKS, "X-Folded: a", f" {CANARY}"), 400),
    "NUL in a header": (get(TASKS, f"X-Nul: \x00{CANARY}"), 400),
    "a bare CR in a header": (get(TASKS, f"X-Cr: a\r{CANARY}"), 400),
    "raw bytes in a header": (get(TASKS, f"X-Bytes: \xff\xfe{CANARY}"), 200),
    "two tokens": (get(TASKS, BEARER), 401),
    "no token": (bare(f"GET {TASKS} HTTP/1.1", HOST), 401),
    "a token of raw bytes": (bare(f"GET {TASKS} HTTP/1.1", HOST, "Authorization: Bearer \xff\xfe"), 401),
    "a token of 60 KiB": (bare(f"GET {TASKS} HTTP/1.1", HOST, f"Authorization: Bearer {'a' * 60_000}"), 401),
    "another method in a header": (get(TASKS, "X-HTTP-Method-Override: DELETE"), 200),
    "another path in a header": (get(TASKS, "X-Original-URL: /api/bob/tasks", "X-Rewrite-URL: /"), 200),
    "a forwarded host": (get(TASKS, f"X-Forwarded-Host: {CANARY}", f"Forwarded: host={CANARY}"), 200),
    "an upgrade to WebSocket": (
        get(TASKS, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), 200),
    "an upgrade to HTTP/2": (get(TASKS, "Connection: Upgrade", "Upgrade: h2c"), 200),
    "a range": (get(TASKS, "Range: bytes=0-1"), 200),
    "a type that is not accepted": (get(TASKS, "Accept: text/html;q=1"), 200),
    "a coding of no body": (get(TASKS, "Content-Encoding: gzip"), 415),
    "a long body that is not read": (get(TASKS, f"Content-Length: {MAX_BODY_BYTES + 1}"), 413),
    "a type for no body": (get(TASKS, f"Content-Type: multipart/form-data; boundary={CANARY}"), 200),
}  # fmt: skip
FRAMING = {
    "two lengths": (post(task(), "Content-Length: 5"), 400),
    "a negative length": (promising("-1"), 400),
    "a length with a sign": (promising("+5") + b"{}   ", 400),
    "a length in hexadecimal": (promising("0x5"), 400),
    "a length of 5000 digits": (promising("9" * 5000), 400),
    "a length over the limit": (promising("65537"), 413),
    "a length and chunks": (
        chunked(ONE_CHUNK, END, headers=("Content-Length: 5", "Transfer-Encoding: chunked")), 400),
    "gzip chunks": (chunked(ONE_CHUNK, END, headers=("Transfer-Encoding: gzip, chunked",)), 201),
    "a coding that is none": (chunked(ONE_CHUNK, END, headers=(f"Transfer-Encoding: {CANARY}",)), 400),
    "chunked that is not last": (chunked(ONE_CHUNK, END, headers=("Transfer-Encoding: chunked, gzip",)), 400),
    "one chunk": (chunked(ONE_CHUNK, END), 201),
    "a chunk per character": (chunked(*(f"1\r\n{c}\r\n" for c in task()), END), 201),
    "a chunk with an extension": (chunked(ONE_CHUNK.replace("\r\n", f";{CANARY}=1\r\n", 1), END), 201),
    "chunks with a trailer": (chunked(ONE_CHUNK, f"0\r\nX-Trailer: {CANARY}\r\n\r\n"), 201),
    "a type that is only a trailer": (
        request(f"POST {TASKS} HTTP/1.1", "Transfer-Encoding: chunked",
                body=(ONE_CHUNK + f"0\r\n{JSON}\r\n\r\n").encode()), 415),
    "a chunk whose size is none": (chunked(f"{CANARY}\r\n", END), 400),
    "a chunk of negative size": (chunked("-5\r\n", END), 400),
    "a chunk of more bytes than there are numbers": (chunked("f" * 40 + "\r\n"), 400),
    "chunks over the limit": (chunked(*["1000\r\n" + "x" * 4096 + "\r\n"] * 17, END), 413),
    "chunks of nothing": (chunked(END), 400),
    "permission asked first": (post(task(), "Expect: 100-continue"), 201),
}  # fmt: skip
BODIES = {
    f"body {name}": (post(body), status)
    for name, (body, status) in {
        "in order": (task(), 201),
        "of the largest size": (task() + " " * (MAX_BODY_BYTES - len(task())), 201),
        "one byte larger": (task() + " " * (MAX_BODY_BYTES - len(task()) + 1), 413),
        "empty": ("", 400),
        "of spaces": ("   ", 400),
        "with a byte order mark": (b"\xef\xbb\xbf" + task().encode(), 400),
        "in UTF-16": (task().encode("utf-16"), 400),
        "in latin-1": ('{"title": "é"}'.encode("latin-1"), 400),
        "with an overlong sequence": (b'{"title": "\xc0\xaf"}', 400),
        "with a surrogate in UTF-8": (b'{"title": "\xed\xa0\x80"}', 400),
        "with a lone surrogate": ('{"title": "\\ud800"}', 400),
        "with a surrogate pair": ('{"title": "\\ud83e\\udd5b"}', 201),
        "with NUL": ('{"title": "a\\u0000b"}', 400),
        "with NUL in an unknown member": (task(note="\0"), 400),
        "with a raw NUL": (b'{"title": "a\x00b"}', 400),
        "with a backslash and u0000": ('{"title": "a\\\\u0000b"}', 201),
        "with a raw line end": ('{"title": "a\nb"}', 400),
        "with a member twice": ('{"title": "a", "title": "b"}', 400),
        "with a member twice, once escaped": ('{"title": "a", "t\\u0069tle": "b"}', 400),
        "with NaN": ('{"title": "a", "x": NaN}', 400),
        "with Infinity": ('{"title": "a", "x": -Infinity}', 400),
        "with 5000 digits": ('{"title": "a", "x": ' + "9" * 5000 + "}", 400),
        "with an exponent of 400": ('{"title": "a", "x": 1e400}', 400),
        "30 deep": ('{"title": "a", "x": ' + "[" * 30 + "]" * 30 + "}", 201),
        "30,000 deep": ("[" * 30_000, 400),
        "with brackets in a string": (task(note="[" * 200), 201),
        "with a comma too many": ('{"title": "a",}', 400),
        "in single quotes": (f"{{'title': '{CANARY}'}}", 400),
        "with a comment": ('{"title": "a"} // x', 400),
        "broken off": ('{"title": "Buy mi', 400),
        "twice": (task() + task(), 400),
        "an array": (f'["{CANARY}"]', 400),
        "a string": (f'"{CANARY}"', 400),
        "null": ("null", 400),
        "with a title that is white space": ('{"title": "\\u2003\\t"}', 400),
        "with a title of another type": (f'{{"title": ["{CANARY}"]}}', 400),
    }.items()
}
CASES = REQUEST_LINES | PATHS | QUERIES | HEADERS | FRAMING | BODIES


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """What is sent here is refused before a database is asked, or would be the same on any."""
    with run_server(
        folder, DATABASE_URL=f"sqlite:///{folder / 'raw.db'}", BETTER_AUTH_SECRET=SECRET
    ) as server:
        yield server


@pytest.fixture(scope="module")
def answer_to(server: Server):
    """The answer to a case, asked for once."""
    answers: dict[bytes, RawResponse] = {}

    def ask(raw: bytes) -> RawResponse:
        if raw not in answers:
            answers[raw] = exchange(server.url, raw)
        return answers[raw]

    return ask


def test_there_are_a_hundred_cases():
    assert len(CASES) >= 100


@pytest.mark.parametrize(("raw", "status"), CASES.values(), ids=CASES)
def test_status_is(answer_to, raw: bytes, status: int):
    assert answer_to(raw).status == status


@pytest.mark.parametrize(("raw", "_status"), CASES.values(), ids=CASES)
def test_nothing_is_echoed(answer_to, raw: bytes, _status: int):
    answer = answer_to(raw)
    assert CANARY not in repr(answer)


@pytest.mark.parametrize(("raw", "status"), CASES.values(), ids=CASES)
def test_refusal_is_a_problem(answer_to, raw: bytes, status: int):
    answer = answer_to(raw)
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]
        assert json.loads(answer.body)["status"] == status


def test_server_is_as_well_as_before(server: Server, answer_to):
    for raw, _ in CASES.values():
        answer_to(raw)
    assert exchange(server.url, get(TASKS)).status == 200
    assert '"level":"error"' not in server.log
    assert CANARY not in server.log


def test_pipelined_requests_are_answered_in_turn(server: Server):
    with connect(server.url) as wire:
        wire.sendall(get(TASKS) + get("/health/live") + get("/nowhere", "Connection: close"))
        assert read_statuses(wire) == [200, 200, 404]


def test_garbage_behind_a_request_does_not_cost_its_answer(server: Server):
    with connect(server.url) as wire:
        wire.sendall(get(TASKS) + b"\x00\x01")
        assert read_statuses(wire) == [200]
