"""The header `traceparent`: the grammar of the W3C's Trace Context, and nothing else."""

import pytest

from observability.traces import find_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"
INVALID = [
    "", "canary", VALID.upper(), VALID[:-1], VALID + "0", VALID + "-00", VALID + "\n", " " + VALID,
    VALID.replace("00-", "01-", 1), VALID.replace("00-", "ff-", 1), VALID.replace("-", "_"),
    f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0g",
    f"00-{TRACE}-{SPAN}-", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00-{TRACE}{SPAN}-01", f"00-{SPAN}-{TRACE}-01",
]  # fmt: skip


@pytest.mark.parametrize(("flags", "number"), [("00", 0), ("01", 1), ("ff", 255)])
def test_valid_header_names_the_span_of_the_caller(flags: str, number: int):
    assert find_parent([f"00-{TRACE}-{SPAN}-{flags}".encode()]) == (TRACE, SPAN, number)


def test_invalid_header_is_ignored():
    assert [value for value in INVALID if find_parent([value.encode()]) is not None] == []


def test_two_headers_or_none_are_ignored():
    assert find_parent([VALID.encode(), VALID.encode()]) is None
    assert find_parent([]) is None
