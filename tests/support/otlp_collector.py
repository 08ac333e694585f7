"""An OpenTelemetry collector on loopback: takes traces as OTLP over HTTP, or takes its time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2


class Span(NamedTuple):
    """A span as it was sent: ids in hexadecimal, the parent's empty where it has none."""

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
    """What has arrived. While `hangs`, nothing is answered."""

    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""
    asked: threading.Event = field(default_factory=threading.Event)
    freed: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False

    def take(self, path: str, body: bytes) -> None:
        self.asked.set()
        if self.hangs:
            self.freed.wait(60)
            return
        assert path == "/v1/traces"
        self.raw += body
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes(sent.resource.attributes)
            self.spans += [opened(span, resource) for scope in sent.scope_spans for span in scope.spans]

    def requests(self, trace_id: str) -> list[Span]:
        """Those of requests, not of statements."""
        server = trace_pb2.Span.SPAN_KIND_SERVER
        return [span for span in self.spans if (span.trace_id, span.kind) == (trace_id, server)]

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL that it listens at meanwhile."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.freed.set()
            server.shutdown()
            server.server_close()


def opened(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=attributes(span.attributes),
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        resource=resource,
    )


def attributes(given: Any) -> dict[str, Any]:
    """By name; of a value whichever kind it is."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in given}
