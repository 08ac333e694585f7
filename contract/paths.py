"""Which methods the contract has on a path."""

import re
from collections.abc import Mapping
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})


class AllowedMethods:
    """The methods of every path of the contract, for `Allow` (RFC 9110 10.2.1).

    The router itself knows only the first of a path's methods.
    """

    def __init__(self, paths: Mapping[str, Mapping[str, Any]]) -> None:
        self._paths = [(_pattern(template), _methods(item)) for template, item in paths.items()]

    def on(self, path: str) -> str:
        """The methods of `path`, comma-separated and sorted; empty when the contract has no such path."""
        return next((methods for pattern, methods in self._paths if pattern.fullmatch(path)), "")


def _pattern(template: str) -> re.Pattern[str]:
    literals = re.split(r"\{[^}]*\}", template)
    return re.compile("[^/]+".join(re.escape(literal) for literal in literals))


def _methods(item: Mapping[str, Any]) -> str:
    methods = {method.upper() for method in item if method in METHODS}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
