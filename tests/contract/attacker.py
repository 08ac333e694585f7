"""Hooks of schemathesis: the token, and two checks that schemathesis does not have.

Loaded by schemathesis itself (tests/contract/attack.py). It sends requests as Ada and checks Bob's tasks.
"""

import json
import os
import secrets

import requests
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

ADA = os.environ["ADA_ID"]
ADA_CREDENTIALS = json.loads(os.environ["ADA_CREDENTIALS"])
ADA_HEADERS = {"Authorization": f"Bearer {os.environ['ADA_TOKEN']}"}
BOB_HEADERS = {"Authorization": f"Bearer {os.environ['BOB_TOKEN']}"}
_refresh_tokens = ["none"]
BOBS_CANARY = os.environ["BOBS_CANARY"].encode()


@schemathesis.hook
def before_call(_context: HookContext, case: Case, _kwargs: dict) -> None:
    """Act as Ada where the case is meant to succeed; a case that is meant to fail stays as it is."""
    if case.meta is not None and case.meta.generation.mode.is_negative:
        if not case.meta.is_negative_at(ParameterLocation.PATH):
            _go_to_ada(case)
        return
    _go_to_ada(case)
    operation_id = case.operation.definition.raw["operationId"]
    is_stateful = case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL
    is_mistaken = case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER)
    if is_stateful or is_mistaken or operation_id == "tasks.delete":
        _drop_conditions(case)
    _make_acceptable(case, operation_id, is_stateful=is_stateful)


def _make_acceptable(case: Case, operation_id: str, *, is_stateful: bool) -> None:
    """Put values into a request that a random request would not have."""
    password = ADA_CREDENTIALS["password"]
    if operation_id == "auth.login" and not _follows_signup(case):
        case.body = ADA_CREDENTIALS
    elif operation_id == "auth.signup" and is_stateful:
        case.body = {**case.body, "email": f"{secrets.token_hex(8)}@example.com"}  # each sign-up its own
    elif operation_id == "auth.change_password":
        case.body = {"current_password": password, "new_password": password}
    elif operation_id == "auth.delete_account":
        case.body = {"password": f"not {password}"}  # Ada is needed
    elif operation_id == "auth.refresh" and not is_stateful:
        case.body = {"refresh_token": _next_refresh_token(case)}
    elif operation_id in {"tasks.get", "tasks.delete"} and not is_stateful:
        case.path_parameters["task_id"] = _create_task(case)


def _go_to_ada(case: Case) -> None:
    if "user_id" in case.path_parameters:
        case.path_parameters["user_id"] = ADA


def _next_refresh_token(case: Case) -> str:
    """Return a refresh token of Ada. Log in again if the last one has ended."""
    url = f"{case.operation.schema.get_base_url().rstrip('/')}/api/auth"
    response = requests.post(f"{url}/refresh", json={"refresh_token": _refresh_tokens[-1]}, timeout=20)
    if not response.ok:
        response = requests.post(f"{url}/login", json=ADA_CREDENTIALS, timeout=20)
    _refresh_tokens.append(response.json()["refresh_token"])
    return _refresh_tokens[-1]


def _create_task(case: Case) -> int:
    """Return the id of a new task of Ada: another case may have deleted all others."""
    url = f"{case.operation.schema.get_base_url().rstrip('/')}/api/{ADA}/tasks"
    created = requests.post(url, json={"title": "Buy milk"}, headers=ADA_HEADERS, timeout=20)
    return int(created.json().get("id", 1))  # without a valid token nothing is created


def _drop_conditions(case: Case) -> None:
    """A random tag is no task's: a chain of requests would end there, and of deletions too few succeed.

    And the coverage phase calls a case positive whose optional header it has taken from a negative one.
    """
    for name in ("If-Match", "If-None-Match", "Idempotency-Key"):
        case.headers.pop(name, None)


def _follows_signup(case: Case) -> bool:
    return isinstance(case.body, dict) and str(case.body.get("email", "")).endswith("@example.com")


@schemathesis.check
def nothing_of_bob_appears(_context: CheckContext, response: Response, _case: Case) -> None:
    """Ada never receives anything that is Bob's."""
    received = response.content + repr(response.headers).encode()
    assert BOBS_CANARY not in received, "an answer to Ada holds something of Bob's"


@schemathesis.check
def bob_cannot_repeat_it(_context: CheckContext, response: Response, _case: Case) -> None:
    """Check that Bob's token cannot repeat Ada's successful request."""
    request = response.request
    if not response.status_code < 300 or f"/api/{ADA}/" not in (request.url or ""):
        return
    before = _latest_of_ada(request.url)
    with requests.Session() as session:
        repeated = request.copy()
        repeated.headers.update(BOB_HEADERS)
        answer = session.send(repeated, timeout=20, allow_redirects=False)
    assert answer.status_code in {403, 404}, f"Bob repeats {request.method} and gets {answer.status_code}"
    assert _latest_of_ada(request.url) == before, f"Bob repeats {request.method} and it changes Ada's tasks"


def _latest_of_ada(url: str) -> bytes:
    """Her twenty tasks changed last: whatever changes shows here."""
    origin = url.partition("/api/")[0]
    parameters = {"sort": "updated", "limit": 20}
    return requests.get(
        f"{origin}/api/{ADA}/tasks", params=parameters, headers=ADA_HEADERS, timeout=20
    ).content
