"""The log as a person at a terminal reads it: a line for each event, the traceback below."""

import logging
import re
import sys
from typing import Any

import pytest

from observability import logs
from observability.console import ConsoleFormatter

REQUEST = {"method": "PATCH", "operation": "tasks.patch", "status": 412, "duration_ms": 3.2, "user": "ada"}
RED = "\033[31m"


def line(event: str, *, with_colour: bool = False, exc_info: Any = None, **fields: Any) -> str:
    logger = logging.getLogger("todo.test")
    record = logger.makeRecord("todo.test", logging.WARNING, "", 0, event, (), exc_info, extra=fields)
    return ConsoleFormatter(logs.fields, with_colour=with_colour).format(record)


def test_request_is_one_line_that_can_be_read():
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d 412 PATCH  tasks\.patch +3\.20 ms  ada  f00d",
        line("request", **REQUEST, request_id="f00d"),
    )


def test_request_of_nobody_says_so():
    assert " -  f00d" in line("request", **REQUEST | {"user": None}, request_id="f00d")


@pytest.mark.parametrize("status", [200, 304, 412, 503])
def test_status_is_coloured_only_where_it_is_wanted(status: int):
    fields = REQUEST | {"status": status}
    assert "\033" not in line("request", **fields)
    assert re.search(rf"\033\[3\dm{status}\033\[0m", line("request", with_colour=True, **fields))


def test_failures_are_red():
    assert RED in line("request", with_colour=True, **REQUEST | {"status": 500})


def test_other_event_names_its_level_its_logger_and_its_fields():
    assert line("unavailable", cause="Locked").endswith("warning todo.test unavailable cause=Locked")


def test_traceback_stands_below_in_lines_of_its_own():
    try:
        raise ValueError("three green parrots")
    except ValueError:
        first, *rest = line("unhandled", exc_info=sys.exc_info()).splitlines()
    assert first.endswith("warning todo.test unhandled")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: three green parrots"


def test_nothing_moves_the_cursor():
    assert "\033" not in line("unavailable", cause="\033[2J\n\r")
    assert "\n" not in line("unavailable", cause="\033[2J\n\r")
