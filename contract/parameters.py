"""Path, query and header parameters: strict conversion of text to the types of the contract."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from contract.problems import NotFound
from contract.request import Headers
from contract.validation import Schema, Validator
from contract.violations import Violation, create_violation

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)


class QueryParameters:
    """The query parameters of one operation: each at most once, and no undeclared one."""

    def __init__(self, parameters: Iterable[Mapping[str, Any]]) -> None:
        declared = {p["name"]: p for p in parameters if p["in"] == "query"}
        self._integers = {name for name, p in declared.items() if p["schema"]["type"] == "integer"}
        self.defaults = {name: p["schema"].get("default") for name, p in declared.items()}
        self._validator = Validator(_create_closed_object(declared), "query")
        self._of_empty_query = self._validator.find_violations({})

    def parse(self, query_string: bytes) -> tuple[dict[str, Any], list[Violation]]:
        """Return every declared parameter (its default or None if absent) and the violations."""
        if not query_string:
            return self.defaults, self._of_empty_query
        try:
            pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            return {}, [create_violation("query", (), "encoding", "must be UTF-8 in percent-encoding")]
        given = {name: self._convert(name, text) for name, text in pairs}
        violations = self._validator.find_violations(given)
        if len(given) != len(pairs):
            names = [name for name, _ in pairs]
            repeated = [name for name in self.defaults if names.count(name) > 1]
            violations = [found for found in violations if found["pointer"][1:] not in repeated]
            violations += [create_violation("query", [name], "uniqueItems", "only once") for name in repeated]
        return {**self.defaults, **given}, violations

    def _convert(self, name: str, text: str) -> Any:
        """Return the integer in `text`, or `text` itself, which then violates its type."""
        return int(text) if name in self._integers and _INTEGER.fullmatch(text) else text


class HeaderParameters:
    """The header parameters of one operation, each a string. Other headers are allowed."""

    def __init__(self, parameters: Iterable[Mapping[str, Any]]) -> None:
        declared = {p["name"]: p for p in parameters if p["in"] == "header"}
        self._names = {name.lower().encode(): name for name in declared}
        self._absent = dict.fromkeys(map(to_argument_name, declared))
        self._validator = Validator(_create_closed_object(declared), "header")

    def parse(self, headers: Headers) -> tuple[dict[str, Any], list[Violation]]:
        """Return every declared header by its argument's name (None if absent) and the violations.

        Repeated headers are joined by commas (RFC 9110 5.3).
        """
        given = {
            name: ", ".join(value.decode("latin-1").strip(" \t") for value in headers[raw_name])
            for raw_name, name in self._names.items()
            if raw_name in headers
        }
        if not given:
            return self._absent, []
        values = {to_argument_name(name): value for name, value in given.items()}
        return {**self._absent, **values}, self._validator.find_violations(given)


def to_argument_name(parameter_name: str) -> str:
    """Return the name of the handler's argument: `if_match` for `If-Match`."""
    return parameter_name.lower().replace("-", "_")


class PathParameters:
    """The path parameters of one operation. A value that violates its schema is 404."""

    def __init__(self, parameters: Iterable[Mapping[str, Any]]) -> None:
        declared = {p["name"]: p for p in parameters if p["in"] == "path"}
        self._validator = Validator(_create_closed_object(declared), "path")

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise NotFound if a value violates its schema."""
        if self._validator.find_violations(values):
            raise NotFound


def _create_closed_object(declared: Mapping[str, Mapping[str, Any]]) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {name: p["schema"] for name, p in declared.items()},
        "additionalProperties": False,
    }
    required = [name for name, p in declared.items() if p.get("required")]
    return schema | ({"required": required} if required else {})  # draft 4 does not allow an empty list
