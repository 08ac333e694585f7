"""Which `traceparent` names the caller's span: the W3C's own grammar, and nothing beside it."""

import pytest

from observability.traces import find_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def headers(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), *((b"traceparent", value.encode()) for value in values)]


def test_valid_one_is_taken_over():
    assert find_parent(headers(GOOD)) == (TRACE, SPAN, 1)
    assert find_parent(headers(f"00-{TRACE}-{SPAN}-00")) == (TRACE, SPAN, 0)


@pytest.mark.parametrize(
    "value",
    [
        "", "canary", GOOD.upper(), GOOD[:-1], GOOD + "0", GOOD + "-00", GOOD + "\n", " " + GOOD,
        GOOD.replace("00-", "01-", 1), GOOD.replace("00-", "ff-", 1), GOOD.replace("-", "_"),
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00-{TRACE}{SPAN}-01", f"00-{SPAN}-{TRACE}-01",
    ],
)  # fmt: skip
def test_anything_else_is_none(value: str):
    assert find_parent(headers(value)) is None


def test_two_are_none():
    assert find_parent(headers(GOOD, GOOD)) is None


def test_without_one_there_is_none():
    assert find_parent(headers()) is None
