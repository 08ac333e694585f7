"""A path leads to one place: by whatever detour it is written, to what is one's own or to nothing."""

from collections.abc import Callable

import pytest

from tests.support.ownership_matrix import Reading, Spot, Trick, Wall
from tests.support.places import OPERATIONS

PLAIN, NOWHERE, UNREADABLE = Reading.PLAIN, Reading.NOWHERE, Reading.UNREADABLE


def slash(number: int, spelled: str) -> Callable[[str, Spot], str]:
    """The path with its slash of this number spelled so, or its last where it has fewer."""

    def spell(path: str, _: Spot) -> str:
        parts = path.split("/")
        at = min(number, len(parts) - 1)
        return "/".join(parts[:at]) + spelled + "/".join(parts[at:])

    return spell


def over(segments: str) -> Callable[[str, Spot], str]:
    """The path by way of the other's, and back by these segments."""
    return lambda path, spot: path.replace("/api/", f"/api/{spot.other}/{segments}/", 1)


# What stands for the whole path.
PATHS: dict[str, tuple[Callable[[str, Spot], str], Reading]] = {
    # A slash that is none, or that is one for a proxy only.
    **{f"slash {number} doubled": (slash(number, "//"), NOWHERE) for number in (1, 2, 3, 4, 5)},
    **{f"slash {number} encoded": (slash(number, "%2f"), NOWHERE) for number in (2, 3, 4, 5)},
    "a slash encoded in capitals": (slash(3, "%2F"), NOWHERE),
    "a slash encoded twice": (slash(3, "%252f"), NOWHERE),
    "an encoded backslash for a slash": (slash(3, "%5c"), NOWHERE),
    "a full-width slash for a slash": (slash(3, "%ef%bc%8f"), NOWHERE),
    # Something behind it, which a lenient router strips.
    "a slash behind it": (lambda path, _: f"{path}/", NOWHERE),
    "two slashes behind it": (lambda path, _: f"{path}//", NOWHERE),
    "an encoded slash behind it": (lambda path, _: f"{path}%2f", NOWHERE),
    "a dot segment behind it": (lambda path, _: f"{path}/.", NOWHERE),
    "a dot behind it": (lambda path, _: f"{path}.", NOWHERE),
    "a space behind it": (lambda path, _: f"{path}%20", NOWHERE),
    "a tab behind it": (lambda path, _: f"{path}%09", NOWHERE),
    "NUL behind it": (lambda path, _: f"{path}%00", NOWHERE),
    "an extension behind it": (lambda path, _: f"{path}.json", NOWHERE),
    "a matrix parameter behind it": (lambda path, _: f"{path};a=b", NOWHERE),
    "an encoded question mark behind it": (lambda path, spot: f"{path}%3fuser_id={spot.other}", NOWHERE),
    "an encoded fragment behind it": (lambda path, _: f"{path}%23", NOWHERE),
    # Case, and letters that are the same once decoded.
    "API": (lambda path, _: path.replace("/api", "/API"), NOWHERE),
    "Tasks": (lambda path, _: path.replace("/tasks", "/Tasks"), NOWHERE),
    "a full-width letter in tasks": (lambda path, _: path.replace("/t", "/%ef%bd%94"), NOWHERE),
    "an encoded letter in api": (lambda path, _: path.replace("/a", "/%61", 1), PLAIN),
    "an encoded letter in tasks": (lambda path, _: path.replace("/tasks", "/%74asks"), PLAIN),
    # By way of the other's path, and back. Nothing here removes dot segments (RFC 3986 5.2.4).
    "over the other's": (over(".."), NOWHERE),
    "over the other's, encoded": (over("%2e%2e"), NOWHERE),
    "over the other's, half encoded": (over(".%2E"), NOWHERE),
    "over the other's, encoded twice": (over("%252e%252e"), NOWHERE),
    "over the other's, overlong": (over("%c0%ae%c0%ae"), NOWHERE),
    "over the other's, with a matrix parameter": (over("..;"), NOWHERE),
    "over the other's, with a backslash": (over("..%5c.."), NOWHERE),
    "over the other's tasks": (over("tasks/../.."), NOWHERE),
    "over the other's task": (lambda p, s: f"/api/{s.other}/tasks/{s.others_task}/../../..{p[4:]}", NOWHERE),
    "over the accounts": (lambda path, _: path.replace("/api/", "/api/auth/../"), NOWHERE),
    "over what is open to all": (lambda path, _: f"/health/..{path}", NOWHERE),
    "over the root": (lambda path, _: f"/..{path}", NOWHERE),
    "by a dot segment": (lambda path, _: path.replace("/api/", "/api/./"), NOWHERE),
    "by an encoded dot segment": (lambda path, _: path.replace("/tasks", "/%2e/tasks"), NOWHERE),
    # Whole URLs (RFC 9112 3.2.2): the path counts, the authority does not.
    "a whole URL": (lambda path, _: f"http://todo.example.com{path}", PLAIN),
    "a whole URL of elsewhere": (lambda path, spot: f"https://{spot.other}:443{path}", PLAIN),
    "a whole URL with someone in it": (
        lambda path, spot: f"http://{spot.other}@todo.example.com{path}",
        PLAIN,
    ),
    "a URL without a scheme": (lambda path, _: f"//todo.example.com{path}", NOWHERE),
    "a whole URL over the other's": (lambda p, s: f"http://a/api/{s.other}/..{p[4:]}", NOWHERE),
    # Where the path ends.
    "an empty query": (lambda path, _: f"{path}?", PLAIN),
    "a fragment": (lambda path, spot: f"{path}#/../../{spot.other}/tasks", PLAIN),
    "a fragment that begins too soon": (lambda path, _: path.replace("/tasks", "#/tasks"), NOWHERE),
    "a query that begins too soon": (lambda path, _: path.replace("/tasks", "?/tasks"), NOWHERE),
    # Elsewhere.
    "no slash before it": (lambda path, _: path[1:], UNREADABLE),
    "backslashes": (lambda path, _: path.replace("/", "\\"), UNREADABLE),
    "backslashes behind the first": (lambda path, _: "/" + path[1:].replace("/", "\\"), NOWHERE),
    "without /api": (lambda path, _: path.removeprefix("/api"), NOWHERE),
    "/api twice": (lambda path, _: f"/api{path}", NOWHERE),
    "a version": (lambda path, _: path.replace("/api/", "/api/v1/"), NOWHERE),
}


@pytest.mark.parametrize(("spell", "reading"), PATHS.values(), ids=PATHS)
def test_path_has_one_reading(wall: Wall, spell: Callable[[str, Spot], str], reading: Reading):
    trick = Trick(reading, lambda spot: spell(spot.path, spot))
    assert wall.faults(OPERATIONS, trick) == []
