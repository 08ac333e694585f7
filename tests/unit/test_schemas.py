"""Schemas of the contract mean what they say once they are compiled."""

from typing import Any

import pytest

from contract.schemas import Validator
from security import tokens
from tests.support.contract_checks import CONTRACT


def faults(schema: dict[str, Any], value: Any) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["keyword"]) for fault in Validator(schema, "body").faults(value)]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-11-21T09:30:00Z", "2026-11-21 09:30"),
        ("email", "ada@example.com", "ada.example.com"),
        ("uuid", "6f1c8a52-4a1e-4f0e-9a43-0d8f2c6b7e15", "6f1c8a52"),
    ],
)
def test_format_is_checked(form: str, good: str, bad: str):
    schema = {"type": "string", "format": form}
    assert faults(schema, good) == []
    assert faults(schema, bad) == [("", "format")]


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_integer_is_nothing_else(value: Any):
    assert faults({"type": "integer"}, value) == [("", "type")]


def test_nullable_takes_null():
    assert faults({"type": "string", "nullable": True}, None) == []


def test_pattern_does_not_end_before_a_line_end():
    assert faults({"type": "string", "pattern": "^[a-z]+$"}, "abc\n") == [("", "pattern")]


def test_every_fault_is_found_and_placed():
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"a/b": {"type": "array", "items": {"type": "integer", "maximum": 5}}},
    }
    found = {("/a~1b/1", "maximum"), ("/a~1b/2", "type"), ("/name", "required")}
    assert set(faults(schema, {"a/b": [1, 9, "x"]})) == found


def test_format_that_nothing_checks_is_refused_at_start():
    with pytest.raises(ValueError, match="hostname"):
        Validator({"type": "string", "format": "hostname"}, "body")


def test_user_of_a_token_has_the_form_of_the_contract():
    assert f"^{tokens._USER_ID.pattern}$" == CONTRACT["components"]["schemas"]["UserId"]["pattern"]
