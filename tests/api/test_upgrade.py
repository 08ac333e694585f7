"""A request to upgrade the protocol is served as HTTP/1.1, with its body (RFC 9110 7.8)."""

import json

import pytest

from tests.api.test_odd_requests import JSON, TASKS, get, request
from tests.support.databases import on_sqlite
from tests.support.raw_http import connect, read_response, read_statuses
from tests.support.server import Server

pytestmark = on_sqlite

PROTOCOLS = {
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "websocket": (
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "any": ("connection: upgrade", "upgrade: unknown/9"),
}
BODY = json.dumps({"title": "GET /api/ada/tasks HTTP/1.1\r\n\r\n"}).encode()
FRAMINGS = {
    "length": (f"Content-Length: {len(BODY)}", BODY),
    "chunks": ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("segments", [1, 2])
def test_request_with_upgrade_keeps_its_body_and_the_requests_behind_it(
    secret_server: Server, protocol: str, framing: str, segments: int
):
    header, body = FRAMINGS[framing]
    head = request(f"POST {TASKS} HTTP/1.1", JSON, header, *PROTOCOLS[protocol])
    logged = len(secret_server.log)
    with connect(secret_server.url) as connection:
        if segments == 1:
            connection.sendall(head + body + get("/nowhere", "Connection: close"))
        else:
            connection.sendall(head)
            connection.sendall(body)
        created = read_response(connection)
        assert (created.status, json.loads(created.body)["title"]) == (201, json.loads(BODY)["title"])
        if segments == 2:
            connection.sendall(get("/nowhere", "Connection: close", *PROTOCOLS[protocol][1:]))
            assert read_response(connection).status == 404
    assert '"level":"warning"' not in secret_server.log[logged:]


def test_pipelined_requests_with_upgrade_are_served_in_turn(secret_server: Server):
    upgrades = get(TASKS, *PROTOCOLS["h2c"]) * 40
    with connect(secret_server.url) as connection:
        connection.sendall(upgrades + get("/nowhere", "Connection: close"))
        assert read_statuses(connection) == [200] * 40 + [404]
