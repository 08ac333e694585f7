"""A span for each request and each statement, sent to an OpenTelemetry collector.

Imported only if a collector is set; the packages are in requirements-otel.lock.
"""

import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from starlette.types import Scope, Send

from observability.logs import SERVICE
from observability.request_records import RequestRecord

UNTRACED = ("/health/live", "/health/ready", "/metrics")  # probes and scrapes
FLUSH_TIMEOUT_S = 2  # of the 8 s after SIGTERM; requests may take 5 of them


class Recorded(Protocol):
    """A request with its record."""

    scope: Scope
    record: RequestRecord


Serve = Callable[[Any, Send], Awaitable[None]]
"""Serves a request and sends its response."""

Run = Callable[[Any, Any], Awaitable[Any]]
"""Runs a statement with its parameters."""


class Tracing:
    """Sends spans to the collector at `endpoint` from a thread, and drops spans that it cannot send.

    OpenTelemetry's other settings (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER ...) are its SDK's.
    """

    def __init__(
        self,
        endpoint: str,
        document: Mapping[str, Any],
        *,
        public_url: str,
        database: Mapping[str, str | int],
    ) -> None:
        """Describe this server by `public_url`, because clients choose the Host header.

        `database` has the attributes of every span of a statement.
        """
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        own = {"service.name": SERVICE, "service.version": document["info"]["version"]}
        resource = Resource.create(own | dict(OTELResourceDetector().detect().attributes))
        # No shutdown at exit, because a collector that does not respond would delay it.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("todo")
        self._routes = {
            operation["operationId"]: path
            for path, item in document["paths"].items()
            for operation in item.values()
            if "operationId" in operation
        }
        address = urlsplit(public_url)
        self._server: dict[str, str | int] = {
            "url.scheme": address.scheme,
            "server.address": str(address.hostname),
            "server.port": address.port or (443 if address.scheme == "https" else 80),
        }
        self._database = database

    def around_request(self, serve: Serve) -> Serve:
        """Wrap `serve` with a span, and add the span's id to the log records of the request."""

        async def serve_in_span(request: Recorded, send: Send) -> None:
            if request.scope["path"] in UNTRACED:
                await serve(request, send)
                return
            record = request.record
            span = self._start(record, request.scope["http_version"])
            ids = span.get_span_context()
            record.fields |= {
                "trace_id": trace.format_trace_id(ids.trace_id),
                "span_id": trace.format_span_id(ids.span_id),
            }
            try:
                with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                    await serve(request, send)
            finally:
                self._end(span, record)

        return serve_in_span

    def _start(self, record: RequestRecord, http_version: str) -> Span:
        """Start the span of a request, as a child of the caller's span."""
        context, parent = None, record.parent
        if parent is not None:
            flags = TraceFlags(parent.flags)
            ids = int(parent.trace_id, 16), int(parent.span_id, 16)
            context = trace.set_span_in_context(NonRecordingSpan(SpanContext(*ids, True, flags)))
        attributes = self._server | {"network.protocol.version": http_version}
        return self._tracer.start_span(record.method, context, SpanKind.SERVER, attributes)

    def _end(self, span: Span, record: RequestRecord) -> None:
        """End the span with the status and the path's template.

        It has none of the attributes that contain values of the client: url.path (the user's id), url.query,
        client.address and user_agent.original.

        https://opentelemetry.io/docs/specs/semconv/http/http-spans/
        """
        route, status = self._routes.get(record.operation), record.status or 500
        span.update_name(f"{record.method} {route}" if route else "HTTP")
        span.set_attribute("http.request.method", record.method if route else "_OTHER")
        span.set_attribute("http.response.status_code", status)
        if route:
            span.set_attribute("http.route", route)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()

    def around_statement(self, run: Run) -> Run:
        """Wrap `run` with a span for each statement of a request: its SQL, which contains no values.

        https://opentelemetry.io/docs/specs/semconv/db/database-spans/
        """

        async def in_span(statement: Any, parameters: Any) -> Any:
            if not trace.get_current_span().is_recording():
                return await run(statement, parameters)
            with self._client_span(_summarize(statement.sql), {"db.query.text": statement.sql}):
                return await run(statement, parameters)

        return in_span

    def step(self, name: str) -> AbstractContextManager[None]:
        """Return a span for BEGIN, COMMIT, ROLLBACK, or the wait for a connection, if a request is traced."""
        if not trace.get_current_span().is_recording():
            return nullcontext()
        return self._client_span(_Summary(name, None), {})

    @contextmanager
    def _client_span(self, summary: "_Summary", attributes: Mapping[str, str]) -> Iterator[None]:
        own = {"db.operation.name": summary.operation, "db.query.summary": summary.text}
        if summary.table is not None:
            own["db.collection.name"] = summary.table
        span = self._tracer.start_span(
            summary.text, kind=SpanKind.CLIENT, attributes={**self._database, **own, **attributes}
        )
        try:
            yield
        except BaseException as error:  # its text may contain values
            span.set_attribute("error.type", type(error).__name__)
            if code := getattr(error, "sqlstate", None):
                span.set_attribute("db.response.status_code", code)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send the remaining spans. Give up after FLUSH_TIMEOUT_S."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(FLUSH_TIMEOUT_S)


class _Summary(NamedTuple):
    """What a statement does, for the name of its span: `UPDATE tasks`."""

    operation: str
    table: str | None

    @property
    def text(self) -> str:
        return f"{self.operation} {self.table}" if self.table else self.operation


@cache
def _summarize(sql: str) -> _Summary:
    found = re.search(r"\b(?:FROM|INTO|UPDATE) (\w+)", sql)
    return _Summary(sql.split(maxsplit=1)[0], found[1] if found else None)
