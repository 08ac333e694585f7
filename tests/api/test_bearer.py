"""The place of a bearer token in a request (RFC 6750 2): one Authorization header, and no other."""

from typing import Any

import httpx
import pytest

from tests.support.databases import on_sqlite
from tests.support.users import User

pytestmark = on_sqlite


def test_scheme_is_read_in_any_case(ada: User):
    for scheme in ("Bearer", "bearer", "BEARER", "bEARER", "Bearer "):
        response = ada.http.get(ada.tasks, headers={"Authorization": f"{scheme} {ada.token}"})
        assert response.status_code == 200, scheme


@pytest.mark.parametrize(
    "request_of",
    [
        lambda token: {},
        lambda token: {"headers": {"Authorization": "Basic YWRhOmFkYQ=="}},
        lambda token: {"headers": {"Authorization": "token x"}},
        lambda token: {"headers": {"Authorization": f"Bearer{token}"}},
        lambda token: {"params": {"access_token": token}},
        lambda token: {"params": {"token": token}},
        lambda token: {"params": {"authorization": token}},
        lambda token: {"headers": {"Cookie": f"better-auth.session_token={token}"}},
    ],
    ids=[
        "nothing",
        "Basic",
        "token",
        "no space",
        "access_token",
        "token in the query",
        "authorization",
        "cookie",
    ],
)
def test_missing_bearer_token_is_401_without_an_error_code(http: httpx.Client, ada: User, request_of: Any):
    response = http.get(ada.tasks, **request_of(ada.token))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:todo:problem:unauthenticated"


def test_two_authorization_headers_are_401_even_if_both_are_valid(http: httpx.Client, ada: User):
    response = http.get(ada.tasks, headers=[*ada.headers.items(), *ada.headers.items()])
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
