"""An OpenTelemetry collector on loopback: receives traces as OTLP over HTTP, or hangs."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.server import eventually

CALLER = "b7ad6b7169203331"  # the id of the caller's span


def new_trace_id() -> str:
    return secrets.token_hex(16)


def traceparent(trace_id: str, flags: str = "01") -> dict[str, str]:
    """Return the header of a caller with that trace."""
    return {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"}


class Span(NamedTuple):
    """A span as it was received. Ids are hexadecimal; `parent_id` is empty for a root span."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    resource: dict[str, Any]


@dataclass
class Collector:
    """The spans that have arrived, and the bytes that they arrived in. It sends no response while `hangs`."""

    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""
    was_called: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False
    _released: threading.Event = field(default_factory=threading.Event)

    def find_requests(self, trace_id: str) -> list[Span]:
        """Return the spans of that trace that are requests, not statements."""
        server = trace_pb2.Span.SPAN_KIND_SERVER
        return [span for span in self.spans if (span.trace_id, span.kind) == (trace_id, server)]

    def find_statements(self, trace_id: str) -> list[Span]:
        """Return the spans of that trace that are not requests, in the order in which they ended."""
        client = trace_pb2.Span.SPAN_KIND_CLIENT
        return [span for span in self.spans if (span.trace_id, span.kind) == (trace_id, client)]

    def wait_for_request(self, trace_id: str) -> Span:
        """Return the span of the only request of that trace as soon as it arrives."""
        assert eventually(lambda: len(self.find_requests(trace_id)) == 1, within_s=10)
        return self.find_requests(trace_id)[0]

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Run the collector and yield its URL."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._receive(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write no log."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self._released.set()
            server.shutdown()
            server.server_close()

    def _receive(self, path: str, body: bytes) -> None:
        self.was_called.set()
        if self.hangs:
            self._released.wait(60)
            return
        assert path == "/v1/traces"
        self.raw += body
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _to_dict(sent.resource.attributes)
            self.spans += [_to_span(span, resource) for scope in sent.scope_spans for span in scope.spans]


def _to_span(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_to_dict(span.attributes),
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        resource=resource,
    )


def _to_dict(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
