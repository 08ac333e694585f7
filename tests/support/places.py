"""Who tries the wall between two people, and where: whose path, whose task, by which operation."""

import time
from typing import NamedTuple

import jwt

from tests.support.contract_checks import Operation, operations
from tests.support.users import SECRET, sign_token

OPERATIONS = [operation for operation in operations() if "{user_id}" in operation.path]
ON_A_TASK = [operation for operation in OPERATIONS if "{task_id}" in operation.path]
HEADS = [found._replace(method="HEAD") for found in OPERATIONS if found.method == "GET"]


class Place(NamedTuple):
    """Whose path, whose task, and how a user who is signed in is refused there; None: not at all."""

    path_of: str
    task_of: str
    refusal: int | None


PLACES = {
    "own path, own task": Place("own", "own", None),
    "other's path, other's task": Place("other's", "other's", 403),
    "other's path, own task": Place("other's", "own", 403),
    "own path, other's task": Place("own", "other's", 404),
    "own path, missing task": Place("own", "missing", 404),
    "other's path, missing task": Place("other's", "missing", 403),
}


def places_of(operation: Operation) -> list[str]:
    """Where it can be tried; two places are all there is where the path names no task."""
    if "{task_id}" in operation.path:
        return [*PLACES]
    return ["own path, own task", "other's path, other's task"]


def success(operation: Operation) -> int:
    """Its one status that is a success."""
    [status] = [int(status) for status in operation.responses if status.startswith("2")]
    return status


# k, i and s have look-alikes that become them when case is folded: Kelvin sign, dotless i, long s.
PEOPLE = ADA, BOB = "ada-kis", "bob-kis"
NOBODY = "nobody"
IN_AN_HOUR = int(time.time()) + 3600
TOKENS = {
    ADA: sign_token(ADA, exp=IN_AN_HOUR),
    BOB: sign_token(BOB, exp=IN_AN_HOUR),
    "a token that is garbage": "garbage",
    "a token of Bob's that has expired": sign_token(BOB, exp=IN_AN_HOUR - 7200),
    "a token of Bob's from elsewhere": jwt.encode({"sub": BOB, "exp": IN_AN_HOUR}, SECRET[::-1], "HS256"),
    NOBODY: None,
}
"""Everyone who tries, and the token they show. Who is neither Ada nor Bob goes about it as Ada does."""


def places_for(who: str, operation: Operation) -> list[str]:
    """Where `who` tries it: with a valid token everywhere, with none where nothing can be theirs."""
    if who in PEOPLE:
        return places_of(operation)
    if who != NOBODY:
        return ["other's path, other's task"]
    return [name for name in places_of(operation) if "own" not in PLACES[name][:2]]
