"""The log at a terminal: one line for each record, with the traceback below."""

import logging
import re
import sys
from typing import Any

import pytest

from observability import logs
from observability.console import ConsoleFormatter

REQUEST = {"method": "PATCH", "operation": "tasks.patch", "status": 412, "duration_ms": 3.2, "user": "ada"}


def render(event: str, *, with_colour: bool = False, exc_info: Any = None, **fields: Any) -> str:
    logger = logging.getLogger("todo.test")
    record = logger.makeRecord("todo.test", logging.WARNING, "", 0, event, (), exc_info, extra=fields)
    return ConsoleFormatter(logs.collect_fields, with_colour=with_colour).format(record)


def test_request_is_one_readable_line():
    line = render("request", **REQUEST, request_id="f00d")
    assert re.fullmatch(r"\d\d:\d\d:\d\d 412 PATCH  tasks\.patch +3\.20 ms  ada  f00d", line)


def test_request_without_a_user_has_a_dash():
    assert " -  f00d" in render("request", **REQUEST | {"user": None}, request_id="f00d")


@pytest.mark.parametrize(("status", "colour"), [(200, 32), (304, 36), (412, 33), (503, 31)])
def test_status_has_a_colour_only_if_wanted(status: int, colour: int):
    fields = REQUEST | {"status": status}
    assert "\033" not in render("request", **fields)
    assert f"\033[{colour}m{status}\033[0m" in render("request", with_colour=True, **fields)


def test_other_record_names_its_level_logger_and_fields():
    assert render("unavailable", cause="Locked").endswith("warning todo.test unavailable cause=Locked")


def test_traceback_follows_on_lines_of_its_own():
    try:
        raise ValueError("three green parrots")
    except ValueError:
        first, *rest = render("unhandled", exc_info=sys.exc_info()).splitlines()
    assert first.endswith("warning todo.test unhandled")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: three green parrots"


def test_value_cannot_move_the_cursor_or_begin_a_line():
    line = render("unavailable", cause="\033[2J\n\r\u2028\u202e")
    assert line.endswith("cause=?[2J????")
