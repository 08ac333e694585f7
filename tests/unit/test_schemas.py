"""The schemas of the contract: which bodies break them, where, and how."""

import json
from typing import Any

import pytest

from contract.problems import InvalidRequest
from contract.validation import Validator
from contract.violations import create_violation
from tests.unit.operations import body_violations, problem_of, violations

EMAIL, PASSWORD = "ada@example.com", "three green parrots"


def find(schema: dict[str, Any], value: Any) -> list[tuple[str, str]]:
    return [
        (found["pointer"], found["keyword"]) for found in Validator(schema, "body").find_violations(value)
    ]


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("date-time", "2026-11-21T09:30:00Z", "2026-11-21 09:30"),
        ("email", "ada@example.com", "ada.example.com"),
    ],
)
def test_format_is_checked(name: str, valid: str, invalid: str):
    schema = {"type": "string", "format": name}
    assert find(schema, valid) == []
    assert find(schema, invalid) == [("", "format")]


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_an_integer_is_an_integer(value: Any):
    assert find({"type": "integer"}, value) == [("", "type")]


def test_nullable_accepts_null():
    assert find({"type": "string", "nullable": True}, None) == []


def test_pattern_applies_to_a_final_line_break():
    schema = {"type": "string", "pattern": "^[a-z]+$", "x-detail": "must be lower case"}
    assert find(schema, "abc\n") == [("", "pattern")]


def test_every_violation_is_found_with_its_place():
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"a/b": {"type": "array", "items": {"type": "integer", "maximum": 5}}},
    }
    found = {("/a~1b/1", "maximum"), ("/a~1b/2", "type"), ("/name", "required")}
    assert set(find(schema, {"a/b": [1, 9, "x"]})) == found


def test_format_that_is_not_checked_raises_at_startup():
    with pytest.raises(ValueError, match="hostname"):
        Validator({"type": "string", "format": "hostname"}, "body")


@pytest.mark.parametrize(
    ("schema", "missing"),
    [
        ({"type": "string", "pattern": "^[a-z]+$"}, "pattern"),
        ({"type": "object", "properties": {"name": {"multipleOf": 2}}}, "multipleOf"),
        ({"anyOf": [{"minLength": 2}, {"maxLength": 1}]}, "anyOf"),
    ],
    ids=["pattern", "unknown rule", "alternatives"],
)
def test_rule_that_cannot_be_described_raises_at_startup(schema: dict[str, Any], missing: str):
    with pytest.raises(ValueError, match=missing):
        Validator(schema, "body")


def test_problem_names_at_most_50_violations():
    """The contract has maxItems: 50."""
    found = [create_violation("body", [number], "type", "must be text") for number in range(60)]
    problem = InvalidRequest(found)
    assert problem.violations == found[:50]
    assert problem.detail == "; ".join(f"{number}: must be text" for number in range(4))


DETAILS = {
    "title: required": ("tasks.create", {}),
    "title: must not be empty": ("tasks.create", {"title": ""}),
    "title: must not be blank": ("tasks.create", {"title": " "}),
    "title: at most 200 characters": ("tasks.put", {"title": "x" * 201}),
    "title: must be text": ("tasks.patch", {"title": None}),
    "description: must be text or null": ("tasks.patch", {"description": 7}),
    "completed: must be true or false": ("tasks.complete", {"completed": "yes"}),
    "body: at least one of title, description, completed": ("tasks.patch", {}),
    "body: must be an object": ("tasks.create", []),
    "body: must be an object or null": ("tasks.complete", []),
    "email: required; password: required": ("auth.signup", {}),
    "email: must be an email address, like ada@example.com": ("auth.login", {"email": "", "password": "x"}),
    "password: at least 8 characters": ("auth.signup", {"email": EMAIL, "password": "short"}),
}


@pytest.mark.parametrize("detail", DETAILS)
def test_detail_names_the_member_and_the_rule(detail: str):
    operation, body = DETAILS[detail]
    assert problem_of(operation, body=json.dumps(body).encode()).detail == detail


def test_violation_has_the_limit_of_its_rule():
    def limit_of(operation: str, **request: Any) -> int | None:
        return problem_of(operation, **request).violations[0].get("limit")

    assert limit_of("tasks.create", body=json.dumps({"title": "x" * 201}).encode()) == 200
    assert limit_of("tasks.list", query="limit=1001") == 1000
    assert limit_of("tasks.list", query="status=open") is None


TITLES = [
    ({}, [("/title", "required")]),
    ({"title": ""}, [("/title", "minLength")]),
    ({"title": " \t\u3000\n"}, [("/title", "pattern")]),
    ({"title": "\u2003\t"}, [("/title", "pattern")]),
    ({"title": "x" * 201}, [("/title", "maxLength")]),
    ({"title": 1}, [("/title", "type")]),
    ({"title": None}, [("/title", "type")]),
    ({"title": ["x"]}, [("/title", "type")]),
    ({"title": "x", "completed": "yes"}, [("/completed", "type")]),
    ({"title": "x", "completed": None}, [("/completed", "type")]),
    ({"title": "x", "description": "x" * 2001}, [("/description", "maxLength")]),
    ({"title": "x", "description": 7}, [("/description", "type")]),
    (
        {"title": "", "description": 7, "completed": 1},
        [("/completed", "type"), ("/description", "type"), ("/title", "minLength")],
    ),
    ({"description": "One bag", "completed": True}, [("/title", "required")]),
    ([], [("", "type")]),
    (["x"], [("", "type")]),
    (None, [("", "type")]),
    ("title", [("", "type")]),
]


@pytest.mark.parametrize(("body", "expected"), TITLES, ids=str)
def test_task_that_breaks_the_contract_is_rejected_by_post_and_put(
    body: Any, expected: list[tuple[str, str]]
):
    assert body_violations("tasks.create", body) == expected
    assert body_violations("tasks.put", body) == expected


@pytest.mark.parametrize(
    ("body", "pointer", "keyword"),
    [
        ({}, "", "not"),
        ({"user_id": "bob", "priority": 1}, "", "not"),
        ([], "", "type"),
        (None, "", "type"),
        ({"title": None}, "/title", "type"),
        ({"title": "\u00a0\t"}, "/title", "pattern"),
        ({"completed": None}, "/completed", "type"),
        ({"title": "Buy oats", "description": 7}, "/description", "type"),
    ],
    ids=str,
)
def test_changes_that_break_the_contract_are_rejected_by_patch(body: Any, pointer: str, keyword: str):
    assert body_violations("tasks.patch", body) == [(pointer, keyword)]


@pytest.mark.parametrize(
    ("body", "pointer", "keyword"),
    [
        ({"completed": None}, "/completed", "type"),
        ({"completed": "true"}, "/completed", "type"),
        ([], "", "not"),
        (True, "", "not"),
    ],
    ids=str,
)
def test_completion_that_breaks_the_contract_is_rejected(body: Any, pointer: str, keyword: str):
    assert body_violations("tasks.complete", body) == [(pointer, keyword)]


def test_missing_body_is_a_violation_where_one_is_required():
    for operation in ("tasks.create", "tasks.put", "tasks.patch", "auth.signup", "auth.login"):
        assert violations(operation, body=b"") == [("body", "", "required")]
    assert violations("tasks.complete", body=b"") == []


EMAILS = ["ada@example.com", "Ada.Lovelace+7@Example.com", "a@b.co", "o'hara@x--y.example"]
NOT_EMAILS = [
    "", "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "a@b@example.com",
    "ada@example.com ", " ada@example.com", "ada lovelace@example.com", "ada@example.com\n",
    "Ada <ada@example.com>", "ada@example.com,bob@example.com", '"ada"@example.com', ".ada@example.com",
    "ada.@example.com", "a..da@example.com", "ada@.example.com", "ada@example..com", "ada@example.com.",
    "ada@-example.com", "ada@exa_mple.com", "ada@[127.0.0.1]", "ada@exämple.com", "ädä@example.com",
    "ada\u200b@example.com", f"ada@{'x' * 64}.com", f"{'a' * 250}@example.com", None, 7, ["ada@example.com"],
]  # fmt: skip


@pytest.mark.parametrize("operation", ["auth.signup", "auth.login"])
def test_only_an_email_is_accepted_as_one(operation: str):
    def broken(email: Any) -> set[str]:
        return {pointer for pointer, _ in body_violations(operation, {"email": email, "password": PASSWORD})}

    assert [email for email in NOT_EMAILS if broken(email) != {"/email"}] == []
    assert [email for email in EMAILS if broken(email)] == []


@pytest.mark.parametrize(
    ("password", "keyword"),
    [
        ("aß3$éø!", "minLength"),
        ("", "minLength"),
        ("x7" * 129, "maxLength"),
        (12345678, "type"),
        (None, "type"),
    ],
)
def test_password_outside_the_contract_is_rejected(password: Any, keyword: str):
    assert body_violations("auth.signup", {"email": EMAIL, "password": password}) == [("/password", keyword)]


def test_login_accepts_a_short_password_so_that_the_rules_for_new_ones_may_change():
    assert body_violations("auth.login", {"email": EMAIL, "password": "x"}) == []
