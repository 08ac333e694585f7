"""Requests that no HTTP library sends: each gets one clear response, without a 5xx, an echo or a redirect.

test_odd_paths.py and test_odd_bodies.py have the tables of paths and bodies.
"""

import json

import pytest

from tests.support.databases import on_sqlite
from tests.support.raw_http import connect, exchange, read_statuses
from tests.support.server import Server
from tests.support.users import sign_token

pytestmark = on_sqlite

CANARY = "canary-5f1d77"  # is in each request, and must be in no response
HOST = "Host: todo.example.com"
BEARER = f"Authorization: Bearer {sign_token('ada')}"
JSON = "Content-Type: application/json"
TASKS = "/api/ada/tasks"
MAX_BODY_BYTES = 65_536


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a request with Host, token, canary and these headers."""
    return bare(line, HOST, BEARER, f"X-Canary: {CANARY}", *headers, body=body)


def bare(line: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a request with these headers and no others."""
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1") + body


def get(target: str, *headers: str) -> bytes:
    return request(f"GET {target} HTTP/1.1", *headers)


def post(body: bytes | str, *headers: str, content_type: str = JSON) -> bytes:
    """Return a POST of a task with this body and its length."""
    raw = body if isinstance(body, bytes) else body.encode()
    return request(f"POST {TASKS} HTTP/1.1", content_type, f"Content-Length: {len(raw)}", *headers, body=raw)


def promising(length: str) -> bytes:
    """Return a POST of a task whose body of this length is missing."""
    return request(f"POST {TASKS} HTTP/1.1", JSON, f"Content-Length: {length}")


def chunked(*chunks: str, headers: tuple[str, ...] = ("Transfer-Encoding: chunked",)) -> bytes:
    """Return a POST of a task with these raw chunks."""
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
CASES = REQUEST_LINES | HEADERS | FRAMING


@pytest.mark.parametrize(("raw", "status"), CASES.values(), ids=CASES)
def test_odd_request_gets_one_clear_response(secret_server: Server, raw: bytes, status: int):
    response = exchange(secret_server.url, raw)
    assert response.status == status
    assert CANARY not in repr(response)
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        problem = json.loads(response.body)
        assert (problem["status"], problem["request_id"]) == (status, response.headers["x-request-id"])


def test_odd_requests_are_logged_with_their_id_and_without_values(secret_server: Server):
    logged = len(secret_server.log)
    responses = [exchange(secret_server.url, raw) for raw, _ in CASES.values()]
    assert exchange(secret_server.url, get(TASKS)).status == 200
    log = secret_server.log[logged:]
    assert [response.head for response in responses if response.headers["x-request-id"] not in log] == []
    assert '"level":"error"' not in log
    assert CANARY not in log


def test_pipelined_requests_get_their_responses_in_order(secret_server: Server):
    with connect(secret_server.url) as connection:
        connection.sendall(get(TASKS) + get("/health/live") + get("/nowhere", "Connection: close"))
        assert read_statuses(connection) == [200, 200, 404]


def test_garbage_after_a_request_does_not_affect_its_response(secret_server: Server):
    with connect(secret_server.url) as connection:
        connection.sendall(get(TASKS) + b"\x00\x01")
        assert read_statuses(connection) == [200]
