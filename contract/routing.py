"""Finds the operation of a request: no redirect, one spelling of each path and number."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connexion.middleware.abstract import AbstractRoutingAPI
from connexion.operations import AbstractOperation

from contract.bodies import BodyLimits
from contract.operation import Gate, Operation
from contract.problems import MethodNotAllowed, NotFound

_SEGMENT = "[^/]+"
_NUMBER = "[1-9][0-9]{0,18}"  # without sign or leading zero, and of a length that int() accepts


class Path(NamedTuple):
    """A path of the contract: the operation of each method, and which parameters are numbers."""

    operations: dict[str, Operation]
    numbers: frozenset[str]

    def operation_for(self, method: str) -> Operation:
        """Return the operation. Raise MethodNotAllowed that names every method (RFC 9110 10.2.1)."""
        if method not in self.operations:
            raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(self.operations))})
        return self.operations[method]

    def arguments(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters of the path, with integers converted."""
        return {name: int(text) if name in self.numbers else text for name, text in texts.items()}


class Routes(AbstractRoutingAPI):
    """Every operation of the contract by method and path, in a table.

    Connexion's own routers try one route after the other.
    """

    def __init__(
        self,
        *args: Any,
        body_limits: BodyLimits,
        make_gate: Callable[[AbstractOperation], Gate],
        **kwargs: Any,
    ) -> None:
        self._body_limits = body_limits
        self._make_gate = make_gate
        self._fixed: dict[str, Path] = {}
        self._templates: dict[re.Pattern[str], Path] = {}
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """Return the operation, for Connexion, which calls this for each at startup."""
        return Operation(operation, self._make_gate(operation), self._body_limits)

    @staticmethod
    def _framework_path_and_name(_operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path, path

    def _add_operation_internal(
        self, method: str, path: str, operation: Operation, name: str | None = None
    ) -> None:
        new = Path({}, operation.path_numbers)
        found = (
            self._templates.setdefault(_compile_pattern(path, operation.path_numbers), new)
            if "{" in path
            else self._fixed.setdefault(path, new)
        )
        found.operations[method.upper()] = operation
        if method == "get":
            found.operations["HEAD"] = operation

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, Any]]:
        """Return the operation, and the parameters of its path. Raise NotFound and MethodNotAllowed."""
        if (fixed := self._fixed.get(path)) is not None:
            return fixed.operation_for(method), {}
        for pattern, found in self._templates.items():
            if match := pattern.fullmatch(path):
                return found.operation_for(method), found.arguments(match.groupdict())
        raise NotFound


def _compile_pattern(path: str, numbers: frozenset[str]) -> re.Pattern[str]:
    pieces = re.split(r"\{([^}]*)\}", path)  # literal, name, literal, ...
    return re.compile(
        "".join(
            f"(?P<{piece}>{_NUMBER if piece in numbers else _SEGMENT})" if is_name else re.escape(piece)
            for piece, is_name in zip(pieces, [False, True] * len(pieces), strict=False)
        )
    )
