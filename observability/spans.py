"""A span for each request and each statement, sent to an OpenTelemetry collector.

Imported only if a collector is set; the packages are in requirements-otel.lock.
"""

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from starlette.types import Send

from observability.request_records import RequestRecord
from observability.traces import Parent

FLUSH_TIMEOUT_S = 2  # of the 8 s after SIGTERM; requests may take 5 of them


class Recorded(Protocol):
    """A request with its record."""

    record: RequestRecord


Serve = Callable[[Any, Send], Awaitable[None]]
"""Serves a request and sends its response."""

Run = Callable[[Any, Any], Awaitable[Any]]
"""Runs a statement with its parameters."""


class Tracing:
    """Sends spans to the collector at `endpoint` from a thread, and drops spans that it cannot send.

    OpenTelemetry's other settings (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER ...) are its SDK's.
    """

    def __init__(self, endpoint: str, document: Mapping[str, Any]) -> None:
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        own = {"service.name": "todo-backend", "service.version": document["info"]["version"]}
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

    def around_request(self, serve: Serve) -> Serve:
        """Wrap `serve` with a span, and add the span's id to the log records of the request."""

        async def serve_in_span(request: Recorded, send: Send) -> None:
            record = request.record
            span = self._start(record.method, record.parent)
            ids = span.get_span_context()
            record.fields |= {
                "trace_id": trace.format_trace_id(ids.trace_id),
                "span_id": trace.format_span_id(ids.span_id),
            }
            try:
                with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                    await serve(request, send)
            finally:
                self._end(span, record.method, record.operation, record.status or 500)

        return serve_in_span

    def _start(self, method: str, parent: Parent | None) -> Span:
        """Start the span of a request, as a child of the caller's span."""
        context = None
        if parent is not None:
            flags = TraceFlags(parent.flags)
            ids = int(parent.trace_id, 16), int(parent.span_id, 16)
            context = trace.set_span_in_context(NonRecordingSpan(SpanContext(*ids, True, flags)))
        return self._tracer.start_span(method, context, SpanKind.SERVER)

    def _end(self, span: Span, method: str, operation: str, status: int) -> None:
        """End the span with the status and the path's template. It has no query, address or user.

        https://opentelemetry.io/docs/specs/semconv/http/http-spans/
        """
        route = self._routes.get(operation)
        span.update_name(operation)
        span.set_attribute("http.request.method", method if route else "_OTHER")
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
            sql: str = statement.sql
            span = self._tracer.start_span(sql.split(maxsplit=1)[0], kind=SpanKind.CLIENT)
            span.set_attribute("db.query.text", sql)
            try:
                return await run(statement, parameters)
            except BaseException as error:  # its text may contain values
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise
            finally:
                span.end()

        return in_span

    def close(self) -> None:
        """Send the remaining spans. Give up after FLUSH_TIMEOUT_S."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(FLUSH_TIMEOUT_S)
