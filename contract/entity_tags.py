"""Entity tags (RFC 9110 8.8.3): the version of a thing in quotes, and the lists of them that clients send."""

import re
from collections.abc import Set

_TAG = re.compile(r'(W/)?"([!#-~]*)"')


def of_version(version: int) -> str:
    """The strong entity tag of `version`."""
    return f'"{version}"'


def versions_named(if_match: str | None) -> Set[str] | None:
    """The versions that If-Match lets through, in digits; None where it lets every one through.

    Weak tags name none: the comparison is the strong one (RFC 9110 13.1.1). Nor do other servers' tags.
    """
    if if_match is None or if_match == "*":
        return None
    return {opaque for weak, opaque in _TAG.findall(if_match) if not weak and opaque.isdigit()}


def is_named(version: int, if_none_match: str | None) -> bool:
    """Whether If-None-Match names `version`, by weak comparison (RFC 9110 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match == "*" or any(opaque == str(version) for _, opaque in _TAG.findall(if_none_match))
