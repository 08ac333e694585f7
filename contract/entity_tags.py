"""Entity tags (RFC 9110 8.8.3): of tasks, of pages, and the lists of them that clients send."""

import hashlib
import re
from collections.abc import Iterable, Set

from contract import strict_json

_TAG = re.compile(r'(W/)?"([!#-~]*)"')
_VERSION = re.compile("[1-9][0-9]{0,17}")  # below 2**63, the most that the database stores


def format_version(version: int) -> str:
    """Return the strong entity tag of `version`."""
    return f'"{version}"'


def compute_page_tag(states: Iterable[tuple[object, ...]], link: str) -> str:
    """Return the weak entity tag of a page, from the state of each task and the Link of the page."""
    return f'W/"{hashlib.sha256(strict_json.dumps([*states, link])).hexdigest()[:32]}"'


def parse_if_match(if_match: str | None) -> Set[int] | None:
    """Return the versions that If-Match accepts, None if it accepts every version.

    Weak tags and tags of other servers match no version, by strong comparison (RFC 9110 13.1.1).
    """
    if if_match is None or if_match == "*":
        return None
    return {int(opaque) for weak, opaque in _TAG.findall(if_match) if not weak and _VERSION.fullmatch(opaque)}


def is_current(tag: str, if_none_match: str | None) -> bool:
    """Return whether If-None-Match names `tag`, by weak comparison (RFC 9110 13.1.2)."""
    if if_none_match is None:
        return False
    named = (f'"{opaque}"' for _, opaque in _TAG.findall(if_none_match))
    return if_none_match == "*" or tag.removeprefix("W/") in named
