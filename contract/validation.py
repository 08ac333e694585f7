"""Compiles the schemas of the contract to validators, which report violations without values."""

from collections.abc import Iterator
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from contract.violations import FORMATS, Violation, check_texts, choose_best, create_violation, describe

CONTRACT_FILE = Path(__file__).parent.parent / "openapi" / "todo.yaml"

Schema = dict[str, Any]


_UNCHECKED_FORMATS = {"int32", "int64", "password"}  # minimum and maximum say more


class Validator:
    """A schema of the contract, compiled once; `location` is the `in` of its violations.

    Raise ValueError at startup for a rule whose violation cannot be described.
    """

    def __init__(self, schema: Schema, location: str) -> None:
        self._schema = to_json_schema(schema)
        check_texts(self._schema)
        self._compiled = jsonschema_rs.Draft4Validator(self._schema, validate_formats=True)
        self._location = location

    def find_violations(self, value: Any) -> list[Violation]:
        """Return the violations of `value`, one for each place."""
        if self._compiled.is_valid(value):
            return []
        return choose_best(self._iterate_violations(value))

    def _iterate_violations(self, value: Any) -> Iterator[Violation]:
        for error in self._compiled.iter_errors(value):
            place = [*error.instance_path]
            if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
                place.append(error.kind.property)
            rule = reduce(getitem, error.schema_path[:-1], self._schema)
            keyword = error.kind.name
            yield create_violation(self._location, place, keyword, *describe(keyword, rule))


def create_validator(name: str, more: Schema | None = None) -> Validator:
    """Return a validator for the contract's schema `name` combined with the schema `more`."""
    schemas = load_contract()["components"]["schemas"]
    return Validator({"allOf": [_resolve(schemas[name], schemas), more or {}]}, name)


def _resolve(schema: Any, schemas: Schema) -> Any:
    """Return `schema` with each reference replaced by the schema that it names."""
    if isinstance(schema, list):
        return [_resolve(part, schemas) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolve(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    return {key: _resolve(part, schemas) for key, part in schema.items()}


@cache
def load_contract() -> Schema:
    """Return the whole contract."""
    return dict(yaml.load(CONTRACT_FILE.read_bytes(), yaml.CSafeLoader))  # a tenth of safe_load's 85 ms


def read_version() -> str:
    """Return the version of the contract, which is the version of the program."""
    return str(load_contract()["info"]["version"])


def to_json_schema(schema: Any) -> Any:
    """Convert an OpenAPI 3.0 schema to JSON Schema draft 4: `nullable` becomes a type, examples are removed.

    Raise ValueError for a format that no code checks.
    """
    if isinstance(schema, list):
        return [to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = {"nullable", "example"}
    if (named := schema.get("format")) in _UNCHECKED_FORMATS:
        left_out.add("format")
    elif isinstance(named, str) and named not in FORMATS:
        raise ValueError(f"format {named} is checked by nothing")
    converted = {key: to_json_schema(value) for key, value in schema.items() if key not in left_out}
    if schema.get("nullable") is True:
        converted["type"] = [schema["type"], "null"]
    return converted
