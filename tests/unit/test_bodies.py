"""Request bodies: collected whole before anything is done with them, and no further than the limit."""

from itertools import repeat

import pytest
from starlette.types import Message

from contract.problems import InvalidRequest, TooLarge
from tests.unit.operations import arguments, chunks

MAX_BYTES = 65_536
DISCONNECT: Message = {"type": "http.disconnect"}


@pytest.mark.parametrize("operation", ["tasks.create", "tasks.put", "tasks.patch", "tasks.complete"])
@pytest.mark.parametrize("parts", [[], [b""], [b"{"], [b'{"title": "Buy milk", "completed": true}']], ids=str)
def test_body_that_is_broken_off_reaches_no_handler(operation: str, parts: list[bytes]):
    """Not even a body that is optional, or complete without the missing part."""
    sent = [*chunks(*parts, b"never sent")][:-1]
    with pytest.raises(InvalidRequest):
        arguments(operation, body=iter([*sent, DISCONNECT]))


def test_body_may_arrive_in_chunks():
    body = chunks(b'{"title": ', b"", b'"Buy', b' milk"}', b"")
    assert arguments("tasks.create", body=body)["body"] == {"title": "Buy milk"}
    assert arguments("tasks.complete", body=chunks(b"", b""))["body"] is None


def test_body_over_the_limit_is_rejected_before_its_end():
    endless = repeat({"type": "http.request", "body": b" " * 1024, "more_body": True})
    with pytest.raises(TooLarge):
        arguments("tasks.create", body=endless)
    assert arguments("tasks.create", body=b'{"title": "x"}'.ljust(MAX_BYTES))
    with pytest.raises(TooLarge):
        arguments("tasks.create", body=b'{"title": "x"}'.ljust(MAX_BYTES + 1))
