"""Finds the operation of a request: no redirect, one spelling of each path and number."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from connexion.middleware.abstract import ROUTING_CONTEXT, AbstractRoutingAPI, SpecMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.problems import MethodNotAllowed, NotFound

_SEGMENT = "[^/]+"
_NUMBER = "[1-9][0-9]{0,18}"  # without sign or leading zero, and of a length that int() takes


class Path(NamedTuple):
    """A path of the contract: the operationId of each method, and which parameters are numbers."""

    operations: dict[str, str]
    numbers: frozenset[str]

    def operation_for(self, method: str) -> str:
        """Return the operationId. Raise MethodNotAllowed that names every method (RFC 9110 10.2.1)."""
        if method not in self.operations:
            raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(self.operations))})
        return self.operations[method]

    def arguments(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters of the path, with integers converted."""
        return {name: int(text) if name in self.numbers else text for name, text in texts.items()}


class Paths(AbstractRoutingAPI):
    """Every path of the contract, as a table: Connexion's own routers try one route after the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._fixed: dict[str, Path] = {}
        self._templates: dict[re.Pattern[str], Path] = {}
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> AbstractOperation:
        """Return the operation, for Connexion, which calls this for each at startup."""
        return operation

    @staticmethod
    def _framework_path_and_name(_operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path, path

    def _add_operation_internal(
        self, method: str, path: str, operation: AbstractOperation, name: str | None = None
    ) -> None:
        types = operation.get_path_parameter_types()
        numbers = frozenset(name for name, of_type in types.items() if of_type == "integer")
        new = Path({}, numbers)
        found = (
            self._templates.setdefault(_pattern(path, numbers), new)
            if types
            else self._fixed.setdefault(path, new)
        )
        found.operations[method.upper()] = operation.operation_id
        if method == "get":
            found.operations["HEAD"] = operation.operation_id

    def find(self, path: str) -> tuple[Path, dict[str, Any]]:
        """Return the contract's path that matches, and its parameters. Raise NotFound."""
        if (fixed := self._fixed.get(path)) is not None:
            return fixed, {}
        for pattern, found in self._templates.items():
            if match := pattern.fullmatch(path):
                return found, found.arguments(match.groupdict())
        raise NotFound


class StrictRoutingMiddleware(SpecMiddleware):
    """Replaces Connexion's RoutingMiddleware, and sets the same keys of the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def add_api(self, specification: Any, **kwargs: Any) -> None:
        """Register the contract's operations."""
        self._paths = Paths(specification, **kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the operation. Raise NotFound and MethodNotAllowed."""
        if scope["type"] == "http":
            path, scope["path_params"] = self._paths.find(scope["path"])
            scope["extensions"][ROUTING_CONTEXT] = {
                "api_base_path": self._paths.base_path,
                "operation_id": path.operation_for(scope["method"]),
            }
        await self.app(scope, receive, send)


def _pattern(path: str, numbers: frozenset[str]) -> re.Pattern[str]:
    pieces = re.split(r"\{([^}]*)\}", path)  # literal, name, literal, ...
    return re.compile(
        "".join(
            f"(?P<{piece}>{_NUMBER if piece in numbers else _SEGMENT})" if is_name else re.escape(piece)
            for piece, is_name in zip(pieces, [False, True] * len(pieces), strict=False)
        )
    )
