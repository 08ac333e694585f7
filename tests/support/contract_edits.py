"""Edits to copies of the contract. Paths name what they change: keys and indexes, separated by blanks."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.support.contract_checks import CONTRACT, METHODS

Contract = dict[str, Any]
Edit = Callable[[Contract], None]


def edited(*edits: Edit) -> Contract:
    """A copy of the contract with these edits made."""
    contract = deepcopy(CONTRACT)
    for edit in edits:
        edit(contract)
    return contract


def put(path: str, value: Any) -> Edit:
    """Sets it, whether or not it was there."""
    return _at(path, lambda parent, key: parent.__setitem__(key, deepcopy(value)))


def drop(path: str) -> Edit:
    """Remove the value at the path."""
    return _at(path, lambda parent, key: parent.__delitem__(key))


def add(path: str, *items: Any) -> Edit:
    """Puts `items` at the end of a list."""
    return _at(path, lambda parent, key: parent.__setitem__(key, [*parent[key], *items]))


def take(path: str, item: Any) -> Edit:
    """Remove `item` from the list at the path."""
    return _at(path, lambda parent, key: parent.__setitem__(key, [one for one in parent[key] if one != item]))


def rename(path: str, name: str) -> Edit:
    """Rename the key at the path."""
    return _at(path, lambda parent, key: parent.__setitem__(name, parent.pop(key)))


def rename_schema(name: str, new: str) -> Edit:
    """Rename a schema, and every reference to it."""

    def edit(contract: Contract) -> None:
        text = json.dumps(contract).replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{new}"')
        contract |= json.loads(text)
        contract["components"]["schemas"][new] = contract["components"]["schemas"].pop(name)

    return edit


def together(*edits: Edit) -> Edit:
    """Several edits as one."""

    def edit(contract: Contract) -> None:
        for one in edits:
            one(contract)

    return edit


def leave_out_most(contract: Contract) -> None:
    """Remove the parts that no edit is about. To compare them all takes api-smart-diff a second."""
    paths = contract["paths"]
    contract["paths"] = {path: paths[path] for path in paths if path.startswith(_KEPT_PATHS)}
    for item in contract["paths"].values():
        for operation in (item[method] for method in METHODS if method in item):
            responses = operation["responses"]
            operation["responses"] = {status: responses[status] for status in responses if status in _KEPT}


_KEPT_PATHS = ("/api/auth/signup", "/api/auth/login", "/api/{user_id}/tasks", "/health", "/metrics")
_KEPT = {"200", "201", "204", "304", "412", "429"}


def _at(path: str, change: Callable[[Any, Any], None]) -> Edit:
    *parents, last = (int(name) if name.isdigit() and len(name) == 1 else name for name in path.split(" "))

    def edit(contract: Contract) -> None:
        part: Any = contract
        for name in parents:
            part = part[name]
        change(part, last)

    return edit
