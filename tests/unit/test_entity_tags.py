"""If-Match and If-None-Match: which lists of entity tags are well formed, and which versions they name."""

import pytest

from contract import entity_tags
from tests.unit.operations import arguments, violations

MALFORMED: dict[str, bytes] = {
    "no quotes": b"1",
    "an open quote": b'"1',
    "any version and one": b'*, "1"',
    "nothing": b"",
    "a comma": b",",
    "no comma": b'"1" "2"',
    "small w": b'w/"1"',
    "a space in the tag": b'"1 2"',
    "too long": b", ".join([b'"1"'] * 206),
    "latin-1": '"é"'.encode("latin-1"),
    "UTF-8": '"é"'.encode(),
}
WELL_FORMED = [
    '"7"', '"6", "7"', 'W/"9" ,\t"7"', '"a,b", "7"', ', "9",, "7" ,', "*", 'W/"7"', '"abc"', '""', '"*"',
    '"0"', 'W/"9",W/"7"', ", ".join(['"1"'] * 204),
]  # fmt: skip
IF_MATCH = ("tasks.put", "tasks.patch", "tasks.complete", "tasks.delete")
CONDITIONS = [*((operation, "If-Match") for operation in IF_MATCH), ("tasks.get", "If-None-Match")]


def send(operation: str, header: str, *lines: bytes) -> list[tuple[str, str, str]]:
    return violations(operation, headers=[(header.lower().encode(), line) for line in lines])


@pytest.mark.parametrize("tags", MALFORMED.values(), ids=MALFORMED)
def test_malformed_list_is_a_violation_of_that_header_alone(tags: bytes):
    for operation, header in CONDITIONS:
        found = send(operation, header, tags)
        assert {(where, pointer) for where, pointer, _ in found} == {("header", f"/{header}")}


@pytest.mark.parametrize("tags", WELL_FORMED, ids=lambda tags: tags[:20])
def test_well_formed_list_is_accepted(tags: str):
    assert [send(operation, header, tags.encode()) for operation, header in CONDITIONS] == [[]] * 5


def test_several_header_lines_are_one_list():
    headers = [(b"if-match", b'"6" \t'), (b"x-other", b'"5"'), (b"if-match", b'"7"')]
    assert arguments("tasks.delete", headers=headers)["if_match"] == '"6", "7"'
    assert arguments("tasks.delete")["if_match"] is None


def test_one_malformed_line_makes_the_list_malformed():
    assert send("tasks.delete", "If-Match", b'"7"', b"*") == [("header", "/If-Match", "pattern")]


def test_condition_of_another_operation_is_ignored():
    headers = [(b"if-match", b"malformed"), (b"if-none-match", b"malformed")]
    assert violations("tasks.create", headers=headers) == []
    assert violations("tasks.list", headers=headers[:1]) == []
    assert violations("tasks.get", headers=headers[:1]) == []
    assert [operation for operation in IF_MATCH if violations(operation, headers=headers[1:])] == []


@pytest.mark.parametrize(
    ("if_match", "versions"),
    [
        (None, None),
        ("*", None),
        ('"7"', {7}),
        ('"6", "7"', {6, 7}),
        ('W/"9" ,\t"7"', {7}),
        ('"a,b", "7"', {7}),
        (', "9",, "7" ,', {9, 7}),
        ('W/"7"', set()),
        ('"6", W/"7"', {6}),
        ('"abc"', set()),
        ('""', set()),
        ('"7.0"', set()),
        ('"*"', set()),
        ('"07"', set()),
        ('"0"', set()),
        (f'"{10**18}"', set()),
        ('"99999999999999999999"', set()),
    ],
)
def test_if_match_names_versions_by_strong_comparison(if_match: str | None, versions: set[int] | None):
    """None stands for every version (RFC 9110 13.1.1)."""
    assert entity_tags.parse_if_match(if_match) == versions


@pytest.mark.parametrize(
    ("if_none_match", "is_named"),
    [
        (None, False),
        ("*", True),
        ('"7"', True),
        ('W/"7"', True),
        ('"abc", "7"', True),
        ('W/"9",W/"7"', True),
        ('"6"', False),
        ('W/"6"', False),
        ('"6", "99"', False),
        ('"07"', False),
        ('"abc"', False),
        ('""', False),
        ('"77"', False),
    ],
)
def test_if_none_match_names_a_version_by_weak_comparison(if_none_match: str | None, is_named: bool):
    assert entity_tags.is_current('"7"', if_none_match) is is_named


def test_entity_tag_of_a_version_is_strong():
    assert entity_tags.format_version(7) == '"7"'
