"""The rate limit of each user's requests to tasks, and what no rate limit counts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import Operation, open_client
from tests.support.databases import on_sqlite
from tests.support.metrics_text import read_metric
from tests.support.ownership_matrix import OPERATIONS
from tests.support.rate_limits import THREADS, check_rejection, send_at_once, send_times, send_until_rejected
from tests.support.server import Server, run_server
from tests.support.users import MISSING, SECRET, User, new_user, sign_token

COUNT = 8
LOGIN, SIGNUP = "/api/auth/login", "/api/auth/signup"
DEFAULTS = {LOGIN: (10, 60), SIGNUP: (20, 3600)}
PREFLIGHT = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"}
INVALID: dict[str, tuple[int, Callable[[User], httpx.Response]]] = {
    "query": (400, lambda user: user.get(limit="canary")),
    "body": (400, lambda user: user.post({})),
    "media type": (
        415, lambda user: user.request("POST", content=b"{", headers={"Content-Type": "text/plain"})),
    "size": (413, lambda user: user.request("POST", content=b" " * 70_000)),
    "missing task": (404, lambda user: user.get(f"/{MISSING}")),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where each user may send COUNT requests an hour. It has no proxy in front of it."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    limit = {"RATE_LIMIT": "on", "RATE_LIMIT_API": f"{COUNT}/hour"}
    with run_server(folder, DATABASE_URL=f"sqlite:///{file}", BETTER_AUTH_SECRET=SECRET, **limit) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of `server`: the fixtures `ada` and `bob` are users of that server here."""
    with open_client(server.url) as client:
        yield client


@pytest.fixture
def limited(http: httpx.Client) -> User:
    """A user who has sent as many requests as the limit allows."""
    user = new_user(http, "limited")
    assert send_times(user.get, COUNT) == [200] * COUNT
    return user


def sender(user: User, operation: Operation) -> Callable[[], httpx.Response]:
    """Return a function that sends the contract's example, for a missing task."""
    path = operation.path.format(user_id=user.id, task_id=MISSING) + operation.query
    return lambda: user.http.request(operation.method, path, json=operation.body, headers=user.headers)


def get_with(user: User, token: str | None) -> httpx.Response:
    """Send GET to the path of the user with another token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return user.http.get(user.tasks, headers=headers)


def test_rejection_names_the_limit_and_when_to_try_again(limited: User):
    check_rejection(limited.get(), "api", COUNT, 3600)
    check_rejection(limited.request("HEAD"), "api", COUNT, 3600)


def test_rejections_are_counted_by_limit(http: httpx.Client, limited: User):
    before = read_metric(http, "todo_rate_limit_refusals_total", limit="api")
    assert send_times(limited.get, 2) == [429] * 2
    assert read_metric(http, "todo_rate_limit_refusals_total", limit="api") == before + 2
    assert read_metric(http, "todo_rate_limit_refusals_total", limit="login") == 0


def test_every_operation_counts_and_is_rejected(http: httpx.Client):
    for operation in OPERATIONS:
        statuses = send_times(sender(new_user(http), operation), COUNT + 2)
        assert [status == 429 for status in statuses] == [False] * COUNT + [True] * 2, operation.id
    ada = new_user(http)
    assert send_times(lambda: ada.request("HEAD"), COUNT + 1) == [200] * COUNT + [429]


def test_all_operations_share_one_count(limited: User):
    assert {sender(limited, operation)().status_code for operation in OPERATIONS} == {429}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_request_counts_and_is_rejected_before_it_is_validated(ada: User, name: str):
    status, send = INVALID[name]
    assert send_times(lambda: send(ada), COUNT + 1) == [status] * COUNT + [429]


def test_requests_with_no_or_another_token_do_not_use_the_owners_limit(ada: User, bob: User):
    tokens = {None: 401, "canary": 401, sign_token(ada.id, exp=1): 401, bob.token: 403}
    for token, status in tokens.items():
        assert send_times(lambda: get_with(ada, token), COUNT + 1) == [status] * (COUNT + 1)  # noqa: B023
    for user in (ada, bob):
        assert send_times(user.get, COUNT) == [200] * COUNT


def test_invalid_token_is_401_and_another_path_403_even_when_the_limit_is_used(limited: User, ada: User):
    assert get_with(ada, limited.token).status_code == 403
    assert get_with(limited, sign_token(limited.id, exp=1)).status_code == 401


def test_limit_of_one_user_does_not_affect_another(limited: User, bob: User):
    assert bob.get().status_code == 200
    for other in (limited.id.upper(), f"{limited.id}0", f"{limited.id}:1", limited.id[:-1] + "~"):
        assert User(limited.http, other, sign_token(other)).get().status_code == 200, other


def test_another_token_of_the_same_user_has_the_same_limit(limited: User):
    assert get_with(limited, sign_token(limited.id, jti="another")).status_code == 429


def test_rejected_request_changes_nothing(server: Server, ada: User):
    task = ada.create_task("Buy milk")
    send_until_rejected(ada.get)
    assert ada.post({"title": "Buy bread"}).status_code == 429
    assert ada.put(f"/{task['id']}", {"title": "Buy bread"}).status_code == 429
    assert ada.complete(task["id"]).status_code == 429
    assert ada.delete(f"/{task['id']}").status_code == 429
    with server.database() as database:
        rows = database.execute(
            text("SELECT title, completed FROM tasks WHERE user_id = :id"), {"id": ada.id}
        )
        assert [(row.title, bool(row.completed)) for row in rows] == [("Buy milk", False)]


def test_preflight_neither_counts_nor_is_rejected(ada: User):
    def send_preflight() -> httpx.Response:
        return ada.http.options(ada.tasks, headers=PREFLIGHT)

    assert send_times(send_preflight, 2 * COUNT) == [200] * 2 * COUNT
    assert send_times(ada.get, COUNT + 1) == [200] * COUNT + [429]
    assert send_preflight().status_code == 200


def test_public_paths_are_never_limited(http: httpx.Client):
    for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs/"):
        assert send_times(lambda: http.get(path), COUNT + 1) == [200] * (COUNT + 1)  # noqa: B023


def test_exactly_so_many_of_concurrent_requests_succeed(http: httpx.Client, is_long: bool):
    for _ in range(100 if is_long else 3):
        responses = send_at_once([new_user(http).get] * 3 * THREADS)
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [200] * COUNT + [429] * (3 * THREADS - COUNT)


def test_address_is_that_of_the_connection_unless_a_proxy_is_trusted(http: httpx.Client):
    for path, (count, window_s) in DEFAULTS.items():
        responses = [
            http.post(path, json={}, headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(count + 1)
        ]
        assert [response.status_code for response in responses[:-1]] == [400] * count
        check_rejection(responses[-1], path.rpartition("/")[2], count, window_s)


@on_sqlite
def test_rate_limit_off_turns_every_limit_off(accounts: httpx.Client):
    for path, (count, _) in DEFAULTS.items():
        statuses = send_times(lambda: accounts.post(path, json={}), count + 1)  # noqa: B023
        assert statuses == [400] * (count + 1)
