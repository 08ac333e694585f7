"""Where a bearer token may stand in a request (RFC 6750 2): in one Authorization header, nowhere else."""

import httpx
import pytest

from tests.support.users import User


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER", "Bearer "])
def test_scheme_is_read_in_any_case(ada: User, scheme: str):
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    assert ada.http.get(ada.tasks, headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic YWRhOmFkYQ=="}, {"Authorization": "token x"}]
)
def test_no_bearer_token_is_401_without_an_error_code(http: httpx.Client, ada: User, headers: dict[str, str]):
    answer = http.get(ada.tasks, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:todo:problem:unauthenticated"


@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
def test_token_in_the_query_opens_nothing(http: httpx.Client, ada: User, name: str):
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    answer = http.get(ada.tasks, params={name: token})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_token_in_a_cookie_opens_nothing(http: httpx.Client, ada: User):
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    answer = http.get(ada.tasks, headers={"Cookie": f"better-auth.session_token={token}"})
    assert answer.status_code == 401


def test_two_authorization_headers_are_refused_even_when_both_are_good(http: httpx.Client, ada: User):
    answer = http.get(ada.tasks, headers=[*ada.headers.items(), *ada.headers.items()])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
