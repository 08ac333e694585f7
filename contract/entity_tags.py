"""Entity tags (RFC 9110 8.8.3): versions in quotes, and the lists of them that clients send."""

import re
from collections.abc import Set

_TAG = re.compile(r'(W/)?"([!#-~]*)"')
_VERSION = re.compile("[1-9][0-9]{0,17}")  # below 2**63, the most that the database stores


def format_version(version: int) -> str:
    """Return the strong entity tag of `version`."""
    return f'"{version}"'


def parse_if_match(if_match: str | None) -> Set[int] | None:
    """Return the versions that If-Match accepts, None if it accepts every version.

    Weak tags and tags of other servers match no version, by strong comparison (RFC 9110 13.1.1).
    """
    if if_match is None or if_match == "*":
        return None
    return {int(opaque) for weak, opaque in _TAG.findall(if_match) if not weak and _VERSION.fullmatch(opaque)}


def is_current(version: int, if_none_match: str | None) -> bool:
    """Return whether If-None-Match names `version`, by weak comparison (RFC 9110 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match == "*" or any(opaque == str(version) for _, opaque in _TAG.findall(if_none_match))
