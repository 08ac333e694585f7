"""Every error that a client can receive. contract/rendering.py renders them."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.violations import Violation, create_violation

_BEARER = {"WWW-Authenticate": "Bearer"}
_BEARER_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
_CLOSE = {"Connection": "close"}
_RETRY = {"Retry-After": "2"}


class Problem(Exception):
    """An error with a response. `detail` is for the user of an application and never repeats input.

    `members` are further members of the response (RFC 9457 3.2). `log_fields` are only logged.
    """

    status: int = 500
    code: str = "internal-error"
    title: str = "The server failed"
    detail: str = "This is a fault of the server, and is logged. Quote the request id when you report it."
    headers: Mapping[str, str] = {}
    members: Mapping[str, object] = {}
    log_fields: Mapping[str, object] = {}

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.code)
        self.detail = detail or self.detail
        self.headers = {**self.headers, **(headers or {})}


class InvalidRequest(Problem):
    """A request that violates the contract."""

    status, code, title = 400, "invalid-request", "The request is not valid"

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = violations[:50]  # the contract's maxItems
        super().__init__("; ".join(found["detail"] for found in violations[:4]))  # of 100 characters each
        self.members = {"errors": self.violations}
        self.log_fields = {"violations": [f"{v['in']}{v['pointer']} {v['keyword']}" for v in self.violations]}


class MalformedJson(InvalidRequest):
    def __init__(self) -> None:
        text = "must be JSON in UTF-8, without duplicate members, NUL or lone surrogates"
        super().__init__([create_violation("body", (), "json", text)])


class InvalidCursor(InvalidRequest):
    def __init__(self) -> None:
        text = "must be from the Link of a page of this list"
        super().__init__([create_violation("query", ["cursor"], "cursor", text)])


class Unreadable(Problem):
    status, code, title = 400, "unreadable", "This is not an HTTP/1.1 request"
    detail = "The request line, a header or the framing of the body is malformed."


class Unauthenticated(Problem):  # RFC 6750 3.1: no error code without a token
    status, code, title = 401, "unauthenticated", "Sign in first"
    detail = "Send a bearer token in the Authorization header."
    headers = _BEARER


class InvalidToken(Problem):
    """An invalid token. The response is the same for every cause; only the log has the `reason`."""

    status, code, title = 401, "invalid-token", "The token is not valid"
    detail = "The bearer token is malformed, expired or not meant for this server. Sign in again."
    headers = _BEARER_INVALID

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        self.log_fields = {"reason": reason}


class UnknownUser(InvalidToken):
    """A valid token whose user has been removed, or is unknown to the program that has the users."""

    def __init__(self) -> None:
        super().__init__("sub")


class WrongCredentials(Problem):
    """A login that failed, whatever the cause."""

    status, code, title = 401, "wrong-credentials", "Email or password is wrong"
    detail = "No account has this email and password."
    headers = _BEARER


class SessionEnded(Problem):
    """A refresh token that is not accepted, whatever the cause."""

    status, code, title = 401, "session-ended", "The session has ended"
    detail = "Sign in again."
    headers = _BEARER


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "This is not yours"
    detail = "You can open only your own tasks."


class PreflightRefused(Problem):
    status, code, title = 403, "preflight-refused", "Not allowed across origins"
    detail = "This origin, method or header is not allowed. The setting CORS_ORIGINS lists the origins."

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.log_fields = {"reason": reason}


class NotFound(Problem):
    status, code, title = 404, "not-found", "Not found"
    detail = "There is nothing here. GET /openapi.json lists every path."


class TrailingSlash(NotFound):
    detail = "No path here ends with a slash."


class TaskNotFound(NotFound):
    detail = "There is no such task."


class OutsideIssuer(Problem):
    status, code, title = 404, "outside-issuer", "Accounts are kept elsewhere"
    detail = "An outside issuer signs the tokens of this server. Sign up and log in there."


class MethodNotAllowed(Problem):
    status, code, title = 405, "method-not-allowed", "Method not allowed"
    detail = "The Allow header lists the methods of this path."


class RequestTimeout(Problem):
    status, code, title = 408, "request-timeout", "The request did not arrive in time"
    detail = "Send the whole body at once."
    headers = _CLOSE


class EmailTaken(Problem):
    status, code, title = 409, "email-taken", "The email is taken"
    detail = "There is an account with this email. Log in, or sign up with another."


class KeyInUse(Problem):
    status, code, title = 409, "key-in-use", "The first request is still in progress"
    detail = "This task is still being saved. Try again in a moment."
    headers = _RETRY


class StaleVersion(Problem):  # RFC 9110 13.1.1
    status, code, title = 412, "stale-version", "The task has changed"
    detail = "This task was changed in the meantime. Look at its current state, then decide."

    def __init__(self, current: Mapping[str, Any], etag: str) -> None:
        super().__init__(headers={"ETag": etag})
        self.members = {"current": current}


class TooLarge(Problem):
    status, code, title = 413, "too-large", "The body is too large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body may be at most {max_bytes} bytes.")


class UriTooLong(Problem):  # RFC 9110 15.5.15
    status, code, title = 414, "uri-too-long", "The query is too long"
    detail = "A query may have at most 4096 bytes."


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported-media-type", "Unsupported media type"
    detail = "Send the body as application/json in UTF-8, not compressed."


class WeakPassword(Problem):
    """A password that satisfies the schema but is too common or too long."""

    status, code, title = 422, "weak-password", "Choose another password"


class CommonPassword(WeakPassword):
    detail = "This password is among the most commonly used ones."


class LongPassword(WeakPassword):
    """A password of which bcrypt would ignore the end."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The password may be at most {max_bytes} bytes of UTF-8.")


class WrongPassword(Problem):
    """A wrong password with a valid token. A 401 would make clients fetch another token."""

    status, code, title = 422, "wrong-password", "The password is wrong"
    detail = "This is not the current password of your account."


class KeyReused(Problem):
    status, code, title = 422, "key-reused", "The key belongs to another request"
    detail = "This Idempotency-Key was sent with another task before. Use a new key for each new task."


class TooManyTasks(Problem):
    status, code, title = 422, "too-many-tasks", "There are too many tasks"

    def __init__(self, max_tasks: int) -> None:
        super().__init__(f"A user may have at most {max_tasks} tasks. Delete some, or try again tomorrow.")


class TooManyRequests(Problem):
    """The limit `name`, of `count` requests in `window_s`, is exhausted for another `wait_s`.

    RateLimit and RateLimit-Policy follow draft-ietf-httpapi-ratelimit-headers-10.
    """

    status, code, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, name: str, *, count: int, window_s: int, wait_s: int) -> None:
        fields = {
            "RateLimit": f'"{name}";r=0;t={wait_s}',
            "RateLimit-Policy": f'"{name}";q={count};w={window_s}',
        }
        detail = f"Too many requests. Try again in {wait_s} second{'' if wait_s == 1 else 's'}."
        super().__init__(detail, headers={"Retry-After": str(wait_s)} | fields)


class HeadersTooLarge(Problem):
    status, code, title = 431, "headers-too-large", "The headers are too large"
    detail = "A request may have at most 100 header fields, of 64 KiB in all."
    headers = _CLOSE


class Unavailable(Problem):
    """The database or the issuer's keys are unavailable; a retry may succeed after `retry_after_s`."""

    status, code, title = 503, "unavailable", "Not available now"
    detail = "The database cannot be reached. Try again in a moment."

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
