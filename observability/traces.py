"""The caller's trace of a request (W3C Trace Context, level 1)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# https://www.w3.org/TR/trace-context/#traceparent-header-field-values; an id of zeros is none.
_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class Parent(NamedTuple):
    """The caller's span, its ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str
    flags: int


def find_parent(traceparents: Sequence[bytes]) -> Parent | None:
    """Return the span in the `traceparent` headers, None unless there is one, of version 00."""
    if len(traceparents) != 1 or (match := _TRACEPARENT.fullmatch(traceparents[0])) is None:
        return None
    trace_id, span_id, flags = match.groups()
    return Parent(trace_id.decode(), span_id.decode(), int(flags, 16))
