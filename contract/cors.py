"""Cross-origin requests (Fetch, CORS protocol), by the rules of Starlette's middleware."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from contract.problems import PreflightRefused
from contract.request import Request

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Allowed beside the header parameters of the contract. The last two are W3C Trace Context.
_REQUEST_HEADERS = {"Authorization", "Content-Type", "traceparent", "tracestate"}
# Not for scripts: Fetch exposes Cache-Control anyway, the others are for HTTP clients.
_HIDDEN_HEADERS = {"Cache-Control", "Vary", "WWW-Authenticate"}

RawHeaders = Sequence[tuple[bytes, bytes]]


class Cors:
    """The cross-origin rules for `origins`. The headers that they name are those of the contract."""

    def __init__(self, origins: Sequence[str], document: Mapping[str, Any]) -> None:
        components = document["components"]
        parameters = {found["name"] for found in components["parameters"].values() if found["in"] == "header"}
        self._rules = CORSMiddleware(
            Starlette(),
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=_METHODS,
            allow_headers=sorted(_REQUEST_HEADERS | parameters),
            expose_headers=sorted(components["headers"].keys() - _HIDDEN_HEADERS),
        )
        # Once, because Starlette would parse the headers of every response.
        self._without_origin = _to_raw({"Vary": "Origin"})
        self._for_others = _to_raw({"Vary": "Origin"} | self._rules.simple_headers)
        self._by_origin = {
            origin.encode(): [*self._for_others, (b"access-control-allow-origin", origin.encode())]
            for origin in origins
        }

    def headers_for(self, request: Request) -> RawHeaders:
        """Return the response headers that allow the request's origin to read the response."""
        origins = request.headers.get(b"origin")
        return self._by_origin.get(origins[0], self._for_others) if origins else self._without_origin

    def preflight_response(self, request: Request) -> Response:
        """Return the response to an allowed preflight. Raise PreflightRefused."""
        response = self._rules.preflight_response(Headers(scope=request.scope))
        if response.status_code >= 400:
            is_listed = request.headers[b"origin"][0] in self._by_origin
            raise PreflightRefused("method or header" if is_listed else "origin is not in CORS_ORIGINS")
        return response


def is_preflight(request: Request) -> bool:
    """Return whether a browser asks if it may send a request to another origin."""
    return (
        request.record.method == "OPTIONS"
        and b"origin" in request.headers
        and b"access-control-request-method" in request.headers
    )


def _to_raw(headers: Mapping[str, str]) -> RawHeaders:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
