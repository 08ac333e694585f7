"""The contract's schemas as compiled validators that name every fault and no value."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from contract.problems import Fault

Schema = dict[str, Any]


class Validator:
    """A schema of the contract, compiled once; `location` is the `in` of its faults."""

    def __init__(self, schema: Schema, location: str) -> None:
        self._compiled = jsonschema_rs.Draft4Validator(to_json_schema(schema), validate_formats=True)
        self._location = location

    def faults(self, value: Any) -> list[Fault]:
        """Every fault of `value`, in the order found; empty when it keeps to the schema."""
        if self._compiled.is_valid(value):
            return []
        return list(self._faults(value))

    def _faults(self, value: Any) -> Iterator[Fault]:
        for error in self._compiled.iter_errors(value):
            path = [*error.instance_path]
            if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
                path.append(error.kind.property)
            yield {"in": self._location, "pointer": _pointer(path), "keyword": error.kind.name}


def to_json_schema(schema: Any) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema draft 4: `nullable` becomes a type, examples go."""
    if isinstance(schema, list):
        return [to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {
        key: to_json_schema(value) for key, value in schema.items() if key not in {"nullable", "example"}
    }
    if schema.get("nullable") is True:
        converted["type"] = [schema["type"], "null"]
    return converted


def _pointer(path: list[Any]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
