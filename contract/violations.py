"""The violations of a request, in words that a frontend can show to its users as they are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

Schema = Mapping[str, Any]

# `in` is a Python keyword, hence the functional form.
Violation = TypedDict(
    "Violation", {"in": str, "pointer": str, "keyword": str, "limit": NotRequired[int], "detail": str}
)
"""Where a request breaks the contract, and which rule it breaks; never the value."""

FORMATS = {
    "date-time": "must be a time like 2026-11-21T09:30:00Z",
    "email": "must be an email address",
}
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "object": "an object",
    "string": "text",
}


def create_violation(
    location: str, place: Sequence[Any], keyword: str, text: str, limit: int | None = None
) -> Violation:
    """Return the violation at `place`, the members that lead to a value of the body, query or header."""
    violation: Violation = {
        "in": location,
        "pointer": "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place),
        "keyword": keyword,
        "detail": f"{place[-1] if place else location}: {text}",
    }
    return violation if limit is None else {**violation, "limit": limit}


def describe(keyword: str, schema: Schema) -> tuple[str, int | None]:
    """Return the rule `keyword` of a draft 4 schema in words, and its limit if it has one.

    Raise KeyError if the words cannot be derived and the schema has no `x-detail`.
    """
    limit = schema[keyword] if keyword in _LIMITS else None
    if keyword in _UNDERIVABLE or (keyword == "format" and "x-detail" in schema):
        return schema["x-detail"], None
    return _TEXTS[keyword](schema), limit


def check_texts(schema: Schema) -> None:
    """Raise ValueError if a rule of the schema, or of a schema in it, cannot be described."""
    for keyword in schema.keys() - _ANNOTATIONS - _PARENTS:
        try:
            describe(keyword, schema)
        except KeyError as error:
            raise ValueError(f"the violation of {keyword} has no text: {error} is missing") from None
    for part in _iterate_parts(schema):
        check_texts(part)


def choose_best(violations: Iterable[Violation]) -> list[Violation]:
    """Return the violation that helps most for each place.

    A violation of `not` is only returned alone: the other violations are more exact.
    """
    best: dict[str, Violation] = {}
    for violation in violations:
        chosen = best.setdefault(violation["pointer"], violation)
        if _RANKS[violation["keyword"]] < _RANKS[chosen["keyword"]]:
            best[violation["pointer"]] = violation
    others = [found for found in best.values() if found["keyword"] != "not"]
    return others or [*best.values()]


def _iterate_parts(schema: Schema) -> Iterator[Schema]:
    """Yield the schemas in a schema whose violations are reported for themselves."""
    yield from schema.get("properties", {}).values()
    yield from schema.get("allOf", ())
    if "items" in schema:
        yield schema["items"]


def _describe_type(schema: Schema) -> str:
    types = schema["type"]
    names = [_TYPES[name] for name in ([types] if isinstance(types, str) else types)]
    return f"must be {' or '.join(names)}"


def _describe_unknown(schema: Schema) -> str:
    known = ", ".join(schema["properties"])
    return f"unknown parameter, known are {known}" if known else "unknown parameter, there are none here"


def _describe_length(schema: Schema) -> str:
    count = schema["minLength"]
    return "must not be empty" if count == 1 else f"at least {count} characters"


_TEXTS: dict[str, Callable[[Schema], str]] = {
    "required": lambda _schema: "required",
    "type": _describe_type,
    "enum": lambda schema: f"must be one of {', '.join(map(str, schema['enum']))}",
    "format": lambda schema: FORMATS[schema["format"]],
    "maxLength": lambda schema: f"at most {schema['maxLength']} characters",
    "minLength": _describe_length,
    "minimum": lambda schema: f"at least {schema['minimum']}",
    "maximum": lambda schema: f"at most {schema['maximum']}",
    "additionalProperties": _describe_unknown,
}
_UNDERIVABLE = ("pattern", "not")
_LIMITS = frozenset({"maxLength", "minLength", "minimum", "maximum"})
_ANNOTATIONS = frozenset({"default", "description", "title", "x-detail"})
_PARENTS = frozenset({"allOf", "items", "properties"})
# The first of the broken rules of a place is reported.
_RANKS = {keyword: rank for rank, keyword in enumerate([*_TEXTS, *_UNDERIVABLE])}
