"""The limit of each user's requests below /api/{user_id}/, counted in memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.contract_checks import Operation, open_client, operations
from tests.support.rate_limits import THREADS, asked, asked_at_once, check_refusal, first_refusal
from tests.support.server import Server, run_server
from tests.support.users import MISSING, SECRET, User, new_user, sign_token

COUNT = 8
ORIGIN = "http://localhost:3000"
OWNED = [operation for operation in operations() if "{user_id}" in operation.path]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of servers with the same limit. What is counted in memory has nothing to do with the database."""
    file = tmp_path_factory.mktemp("limits") / "todo.db"
    return {
        "DATABASE_URL": f"sqlite:///{file}",
        "BETTER_AUTH_SECRET": SECRET,
        "RATE_LIMIT": "on",
        "RATE_LIMIT_API": f"{COUNT}/hour",
    }


@pytest.fixture(scope="module")
def server(folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    """A server where each user may ask COUNT times."""
    with run_server(folder, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """Its client: Ada and Bob of these tests are there."""
    with open_client(server.url) as client:
        yield client


@pytest.fixture
def spent(http: httpx.Client) -> User:
    """Someone who has asked as often as they may."""
    person = new_user(http, "spent")
    assert asked(person.get, COUNT) == [200] * COUNT
    return person


def asking(person: User, operation: Operation, method: str | None = None) -> Callable[[], httpx.Response]:
    """A request of that person to that operation, as the contract shows it, for a task they have not."""
    path = operation.path.format(user_id=person.id, task_id=MISSING)
    return lambda: person.http.request(
        method or operation.method, path, json=operation.body, headers=person.headers
    )


def stranger_asks(ada: User, bearer: str | None) -> httpx.Response:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return ada.http.get(ada.tasks, headers=headers)


def test_refusal_says_which_limit_and_when_to_come_back(spent: User):
    check_refusal(spent.get(), "api", COUNT, 3600)


@pytest.mark.parametrize("operation", OWNED, ids=lambda operation: operation.id)
def test_every_operation_of_a_user_counts_and_is_refused(ada: User, operation: Operation):
    statuses = asked(asking(ada, operation), COUNT + 2)
    assert [status == 429 for status in statuses] == [False] * COUNT + [True] * 2


def test_all_operations_share_one_count(spent: User):
    for operation in OWNED:
        assert asking(spent, operation)().status_code == 429, operation.id


def test_head_counts_like_get(ada: User):
    assert asked(lambda: ada.request("HEAD"), COUNT) == [200] * COUNT
    check_refusal(ada.request("HEAD"), "api", COUNT, 3600)
    assert ada.get().status_code == 429


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (lambda person: person.get(limit="canary"), 400),
        (lambda person: person.post({}), 400),
        (lambda person: person.request("POST", content=b"{", headers={"Content-Type": "text/plain"}), 415),
        (lambda person: person.request("POST", content=b" " * 70_000), 413),
        (lambda person: person.get(f"/{MISSING}"), 404),
    ],
    ids=["query", "body", "media type", "size", "missing"],
)
def test_what_is_wrong_counts_and_is_refused_before_it_is_looked_at(
    ada: User, wrong: Callable[[User], httpx.Response], status: int
):
    assert asked(lambda: wrong(ada), COUNT + 1) == [status] * COUNT + [429]


def test_strangers_use_up_nobodys_limit(ada: User, bob: User):
    for bearer, status in (
        (None, 401),
        ("canary", 401),
        (sign_token(ada.id, exp=1), 401),
        (sign_token(bob.id), 403),
    ):
        assert {stranger_asks(ada, bearer).status_code for _ in range(COUNT + 1)} == {status}
    assert asked(ada.get, COUNT) == [200] * COUNT
    assert asked(bob.get, COUNT) == [200] * COUNT


def test_whose_path_it_is_comes_before_the_limit(spent: User, ada: User):
    assert stranger_asks(ada, sign_token(spent.id)).status_code == 403
    assert stranger_asks(spent, sign_token(spent.id, exp=1)).status_code == 401


def test_one_users_limit_leaves_others_alone(spent: User, bob: User):
    assert bob.get().status_code == 200
    for other in (spent.id.upper(), f"{spent.id}0", f"{spent.id}:1", spent.id[:-1] + "~"):
        assert User(spent.http, other, sign_token(other)).get().status_code == 200, other


def test_another_token_of_the_same_user_has_the_same_limit(spent: User):
    assert User(spent.http, spent.id, sign_token(spent.id, jti="another")).get().status_code == 429


def test_another_address_of_the_same_user_has_the_same_limit(spent: User):
    assert spent.request("GET", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 429


def test_refused_request_does_nothing(server: Server, ada: User):
    task = ada.create_task("Buy milk")
    first_refusal(ada.get)
    assert ada.post({"title": "Buy bread"}).status_code == 429
    assert ada.put(f"/{task['id']}", {"title": "Buy bread"}).status_code == 429
    assert ada.delete(f"/{task['id']}").status_code == 429
    with server.database() as connection:
        rows = connection.execute(text("SELECT title FROM tasks WHERE user_id = :id"), {"id": ada.id})
        assert [row.title for row in rows] == ["Buy milk"]


def test_preflights_neither_count_nor_are_refused(ada: User):
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    assert asked(lambda: ada.http.options(ada.tasks, headers=asks), 2 * COUNT) == [200] * 2 * COUNT
    assert asked(ada.get, COUNT + 1) == [200] * COUNT + [429]
    assert ada.http.options(ada.tasks, headers=asks).status_code == 200


def test_refusal_can_be_read_by_a_frontend(spent: User):
    headers = spent.request("GET", headers={"Origin": ORIGIN}).headers
    exposed = {name.strip().lower() for name in headers["access-control-expose-headers"].split(",")}
    assert headers["access-control-allow-origin"] == ORIGIN
    assert {"retry-after", "ratelimit", "ratelimit-policy", "etag"} <= exposed


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs/"])
def test_what_is_nobodys_is_never_limited(http: httpx.Client, path: str):
    assert set(asked(lambda: http.get(path), 3 * COUNT)) == {200}


def test_exactly_so_many_pass_when_all_come_at_once(http: httpx.Client, is_long: bool):
    for _ in range(100 if is_long else 5):
        person = new_user(http)
        statuses = asked_at_once([person.get] * 3 * THREADS)
        assert sorted(statuses) == [200] * COUNT + [429] * (3 * THREADS - COUNT)


def test_switch_turns_every_limit_off(folder: Path, tmp_path: Path):
    limits = dict.fromkeys(["RATE_LIMIT_API", "RATE_LIMIT_LOGIN", "RATE_LIMIT_SIGNUP"], "1/day")
    settings = limits | {"DATABASE_URL": f"sqlite:///{tmp_path / 'todo.db'}", "RATE_LIMIT": "off"}
    credentials = {"email": "ada@example.com", "password": "three green parrots"}
    with run_server(folder, **settings) as server, open_client(server.url) as http:
        for path in ("/api/auth/signup", "/api/auth/login"):
            assert asked(lambda: http.post(path, content=b"{"), 3) == [415] * 3  # noqa: B023
        assert http.post("/api/auth/signup", json=credentials).status_code == 201
        session = http.post("/api/auth/login", json=credentials).json()
        ada = User(http, session["user"]["id"], session["access_token"])
        assert asked(ada.get, 3) == [200] * 3


BRIEF = 3  # in two seconds


@pytest.fixture(scope="module")
def brief(folder: Path, settings: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of another server on the same database, that forgets soon."""
    limit = {"RATE_LIMIT_API": f"{BRIEF}/2 seconds"}
    with run_server(folder, **settings | limit) as server, open_client(server.url) as client:
        yield client


def test_each_process_counts_on_its_own(spent: User, brief: httpx.Client):
    assert User(brief, spent.id, sign_token(spent.id)).get().status_code == 200
    assert spent.get().status_code == 429


def test_limit_is_whole_again_after_the_time_it_says(brief: httpx.Client):
    ada = new_user(brief)
    refusal = first_refusal(ada.get)
    check_refusal(refusal, "api", BRIEF, 2)
    time.sleep(int(refusal.headers["retry-after"]))
    assert ada.get().status_code == 200
