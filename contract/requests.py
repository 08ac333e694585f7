"""Validates each request by its operation in the contract, in Connexion's validation slot."""

from typing import Any

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.bodies import BodyLimits, JsonBody, check_headers
from contract.parameters import HeaderParameters, PathParameters, QueryParameters
from contract.problems import InvalidRequest


class RequestOperation:
    """One operation, compiled at startup. It puts the handler's arguments into `scope["arguments"]`."""

    def __init__(self, operation: AbstractOperation, next_app: ASGIApp, body_limits: BodyLimits) -> None:
        self._next_app = next_app
        self._path = PathParameters(operation.parameters)
        self._query = QueryParameters(operation.parameters)
        self._headers = HeaderParameters(operation.parameters)
        self._limits = body_limits
        self._body = JsonBody(operation.request_body, body_limits) if operation.request_body else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise NotFound for a violation in the path, InvalidRequest with all others."""
        path = scope["path_params"]
        self._path.check(path)
        check_headers(scope, self._limits)
        arguments, faults = self._query.parse(scope["query_string"])
        header_arguments, header_faults = self._headers.parse(scope["headers"])
        arguments = {**arguments, **path, **header_arguments}
        faults = faults + header_faults
        if self._body is not None:
            arguments["body"], body_faults = await self._body.read(scope, receive)
            faults = faults + body_faults
        if faults:
            raise InvalidRequest(faults)
        scope["arguments"] = arguments
        await self._next_app(scope, receive, send)


class RequestAPI(RoutedAPI):
    """The operations of the contract, by operationId."""

    def __init__(self, *args: Any, body_limits: BodyLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._body_limits = body_limits
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> RequestOperation:
        """Return the operation, for Connexion, which calls this for each at startup."""
        return RequestOperation(operation, self.next_app, self._body_limits)


class RequestMiddleware(RoutedMiddleware):
    """Replaces Connexion's RequestValidationMiddleware, which compiles for each request."""

    api_cls = RequestAPI
