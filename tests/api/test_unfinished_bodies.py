"""A body that the client breaks off changes nothing, even if what arrived is a whole JSON document."""

import json

import pytest

from tests.support.raw_http import connect
from tests.support.server import Server, eventually
from tests.support.users import User

OPERATIONS = {
    "create": ("POST", "", {"title": "Buy oats"}),
    "put": ("PUT", "/{id}", {"title": "Buy oats"}),
    "patch": ("PATCH", "/{id}", {"title": "Buy oats"}),
    "complete": ("PATCH", "/{id}/complete", {"completed": True}),
    "toggle": ("PATCH", "/{id}/complete", {}),
}


def count_requests(server: Server, user: User) -> int:
    """Return how many requests of the user the server has finished with, by its log."""
    return server.log.count(f'"user":"{user.id}"')


def send_unfinished(server: Server, user: User, request_line: str, framing: str, body: str) -> None:
    """Send the request up to some point of its body, and close the connection."""
    fields = {"Host": "localhost", **user.headers, "Content-Type": "application/json"}
    lines = [request_line, *(f"{name}: {value}" for name, value in fields.items()), framing]
    with connect(server.url) as connection:
        connection.sendall("\r\n".join([*lines, "", body]).encode())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_request_whose_body_is_broken_off_changes_nothing(secret_server: Server, ada: User, operation: str):
    method, path, body = OPERATIONS[operation]
    task = ada.create_task()
    line, content = f"{method} {ada.tasks}{path.format(id=task['id'])} HTTP/1.1", json.dumps(body)
    unfinished = [
        (f"Content-Length: {len(content) + 9}", content),
        (f"Content-Length: {len(content)}", content[:-1]),
        ("Content-Length: 5", ""),
        ("Transfer-Encoding: chunked", f"{len(content):x}\r\n{content}\r\n"),
        ("Transfer-Encoding: chunked", f"{len(content):x}\r\n{content[:-1]}"),
        ("Transfer-Encoding: chunked", ""),
    ]
    for framing, sent in unfinished:
        send_unfinished(secret_server, ada, line, framing, sent)
    sent_in_all = 1 + len(unfinished)
    assert eventually(lambda: count_requests(secret_server, ada) == sent_in_all, within_s=10)
    assert ada.get().json() == [task]
