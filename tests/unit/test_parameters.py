"""Query parameters: read strictly, each declared one at most once, and no other one."""

import pytest

from contract.problems import NotFound
from tests.unit import operations
from tests.unit.operations import arguments, violations

DEFAULTS = {
    "status": "all",
    "sort": "created",
    "order": None,
    "limit": 1000,
    "cursor": None,
    "if_none_match": None,
}


BROKEN = {
    ("/limit", "minimum"): ["limit=0", "limit=-1"],
    ("/limit", "maximum"): ["limit=1001", "limit=9999999999999999999"],
    ("/limit", "type"): [
        "limit=" + "9" * 20, "limit=" + "9" * 5000, "limit=+5", "limit=%2B5", "limit=1_0", "limit=%205%20",
        "limit=5%0A", "limit=%EF%BC%95", "limit=%D9%A5", "limit=05", "limit=5.0", "limit=5e0", "limit=0x5",
        "limit=null", "limit=", "limit",
    ],
    ("/limit", "uniqueItems"): ["limit=5&limit=5"],
    ("/status", "enum"): [
        "status=done", "status=PENDING", "status=pending,completed", "status=all%00", "status=",
    ],
    ("/status", "uniqueItems"): ["status=pending&status=pending"],
    ("/sort", "enum"): ["sort=id", "sort=-created"],
    ("/sort", "uniqueItems"): ["sort=title&sort=title"],
    ("/order", "enum"): ["order=up"],
    ("/order", "uniqueItems"): ["order=asc&order=asc"],
    ("/cursor", "pattern"): ["cursor=a%0A", "cursor=a%20b"],
    ("/cursor", "maxLength"): ["cursor=" + "a" * 2049],
    ("", "additionalProperties"): ["undeclared=1", "Limit=5", "user_id=bob", "=5"],
    ("", "encoding"): ["limit=%FF"],
}  # fmt: skip


@pytest.mark.parametrize("violation", BROKEN, ids="".join)
def test_query_that_breaks_the_contract_is_one_violation(violation: tuple[str, str]):
    found = {query: violations("tasks.list", query=query) for query in BROKEN[violation]}
    assert found == {query: [("query", *violation)] for query in BROKEN[violation]}


def test_every_violation_of_a_query_is_named_at_once():
    assert violations("tasks.list", query="status=done&sort=id&order=up&limit=0&limit=0") == [
        ("query", "/limit", "uniqueItems"),
        ("query", "/order", "enum"),
        ("query", "/sort", "enum"),
        ("query", "/status", "enum"),
    ]


def test_violations_of_query_headers_and_body_are_named_at_once():
    found = violations("tasks.put", query="undeclared", headers=[(b"if-match", b"1")], body=b"{}")
    assert {where for where, _, _ in found} == {"query", "header", "body"}


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        ("", {}),
        ("&&", {}),
        ("limit=1", {"limit": 1}),
        ("limit=%35", {"limit": 5}),
        ("limit=1000&sort=title", {"limit": 1000, "sort": "title"}),
        ("cursor=a-_9&order=asc&status=pending", {"cursor": "a-_9", "order": "asc", "status": "pending"}),
    ],
)
def test_parameters_are_typed_and_have_their_defaults(query: str, changes: dict[str, object]):
    assert arguments("tasks.list", query=query) == {"user_id": "ada"} | DEFAULTS | changes


def test_operation_without_query_parameters_accepts_none():
    undeclared = ("query", "", "additionalProperties")
    accepting = [name for name in operations.PATHS if undeclared not in violations(name, query="limit=5")]
    assert accepting == ["tasks.list"]


def test_required_parameter_is_required():
    assert violations("tasks.clear") == [("query", "/status", "required")]
    assert violations("tasks.clear", query="status=pending") == [("query", "/status", "enum")]
    assert arguments("tasks.clear", query="status=completed") == {"user_id": "ada", "status": "completed"}


@pytest.mark.parametrize(
    ("operation", "query", "detail"),
    [
        ("tasks.list", "q=1", "query: unknown parameter, known are status, sort, order, limit, cursor"),
        ("tasks.get", "q=1", "query: unknown parameter, there are none here"),
        ("tasks.list", "limit=5&limit=6", "limit: only once"),
        ("tasks.list", "limit=0", "limit: at least 1"),
        ("tasks.list", "status=done", "status: must be one of all, pending, completed"),
        ("tasks.clear", "", "status: required"),
        ("tasks.list", "cursor=%20", "cursor: must be taken from the Link of a page"),
        ("tasks.list", "limit=%FF", "query: must be UTF-8 in percent-encoding"),
    ],
)
def test_detail_names_the_parameter_and_the_rule(operation: str, query: str, detail: str):
    assert operations.problem_of(operation, query=query).detail == detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", "a" * 129),
        ("user_id", ".ada"),
        ("user_id", "ada\n"),
        ("user_id", "ädä"),
        ("task_id", 2**63),
    ],
)
def test_path_parameter_outside_its_schema_is_not_found(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(operations.PATH, name, value)
    with pytest.raises(NotFound):
        arguments("tasks.get")
