"""Users of a real Better Auth have their tasks here, by its published keys or by a shared secret.

On PostgreSQL Better Auth keeps its tables in our database and its tokens contain only the email, as
docs/better-auth.md advises. On SQLite it keeps its users in memory and its tokens contain the whole row. Both
keep a copy of the session in a cookie: a JWT, signed on SQLite with the shared secret, on PostgreSQL with the
published keys.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import jwt
import psycopg
import pytest

from tests.ecosystem.better_auth.frontend import Frontend, Visitor, better_auth
from tests.support.contract_checks import open_client
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.server import run_server
from tests.support.task_lifecycle import check_isolation, check_life_of_a_task
from tests.support.users import SECRET, User

CACHED = {"session": {"cookieCache": {"enabled": True, "strategy": "jwt"}}}
CACHES = {  # the header of the cached session, and its audience
    "sqlite": ("HS256", None, None),
    "postgresql": ("EdDSA", "better-auth.session-cache+jwt", "better-auth:session-cache"),
}
AVATAR = "data:image/png;base64," + "iVBORw0KGgo/" * 680  # 8 kB
OUR_TABLES = {"users", "tasks", "idempotency_keys", "import_progress", "sessions", "signing_keys"}
OUR_TABLES |= {"todo_schema_version"}
THEIR_TABLES = {"user", "session", "account", "verification", "jwks"}


@pytest.fixture(scope="module")
def database_url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture(scope="module")
def frontend(database: str, database_url: str, folder: Path) -> Iterator[Frontend]:
    is_sqlite = database == "sqlite"
    environment = {} if is_sqlite else {"DATABASE_URL": database_url, "ONLY_EMAIL": "yes"}
    jwt_options = {} if is_sqlite else {"sessionCookieCache": True}
    with better_auth(folder, options=CACHED, jwt_options=jwt_options, **environment) as frontend:
        yield frontend


class Todo(NamedTuple):
    """A todo backend that accepts the tokens of `frontend`, and how a user gets one."""

    http: httpx.Client
    get_token: Callable[[Visitor], str]

    def user(self, visitor: Visitor, token: str | None = None) -> User:
        return visitor.on(self.http, token or self.get_token(visitor))


@pytest.fixture(scope="module", params=["keys", "secret"])
def todo(
    request: pytest.FixtureRequest, frontend: Frontend, database_url: str, folder: Path
) -> Iterator[Todo]:
    is_by_keys = request.param == "keys"
    settings = frontend.as_issuer if is_by_keys else {"BETTER_AUTH_SECRET": SECRET}
    with (
        run_server(folder, DATABASE_URL=database_url, **settings) as server,
        open_client(server.url) as http,
    ):
        yield Todo(http, Visitor.token if is_by_keys else Visitor.shared_secret_token)


by_keys = pytest.mark.parametrize("todo", ["keys"], indirect=True)
by_secret = pytest.mark.parametrize("todo", ["secret"], indirect=True)


def test_user_can_use_every_operation_and_keeps_the_tasks_at_the_next_sign_in(frontend: Frontend, todo: Todo):
    visitor = frontend.visitor()
    check_life_of_a_task(todo.user(visitor))
    task = todo.user(visitor).create_task()
    visitor.sign_in()
    assert todo.user(visitor).get().json() == [task]


def test_two_users_cannot_see_each_other(frontend: Frontend, todo: Todo):
    ada, bob = (todo.user(frontend.visitor(name)) for name in ("ada", "bob"))
    check_isolation(ada, other=bob)


def test_nothing_that_stands_for_the_session_is_a_token(frontend: Frontend, todo: Todo, database: str):
    ada = frontend.visitor()
    cache = ada.cookie("session_data")
    header, claims = jwt.get_unverified_header(cache), jwt.decode(cache, options={"verify_signature": False})
    assert (header["alg"], header.get("typ"), claims.get("aud")) == CACHES[database]
    assert todo.user(ada).get().status_code == 200
    for credential in (cache, ada.cookie("session_token"), ada.sign_in()):
        assert todo.user(ada, credential).get().status_code == 401, credential


@on_sqlite
@by_keys
def test_token_with_an_avatar_is_not_too_long(frontend: Frontend, todo: Todo):
    ada = frontend.visitor(image=AVATAR)
    token = ada.token()
    assert len(AVATAR) < len(token) < 16 * 1024
    check_life_of_a_task(todo.user(ada, token))


@pytest.fixture(scope="module")
def impostor(frontend: Frontend, folder: Path) -> Iterator[Frontend]:
    """A Better Auth server with the origin of `frontend`, but with its own keys and another secret.

    It gives our secret to the jwt plugin. That is widely copied and has no effect: the plugin has no such
    option, and signs with a key of its own.
    """
    misplaced = {"secret": SECRET, "algorithm": "HS256"}
    environment = {"BETTER_AUTH_URL": frontend.url, "BETTER_AUTH_SECRET": SECRET[::-1]}
    with better_auth(folder, jwt_options=misplaced, **environment) as impostor:
        yield impostor


@on_sqlite
def test_token_of_another_server_with_the_same_origin_is_401(
    impostor: Frontend, frontend: Frontend, todo: Todo
):
    todo.user(frontend.visitor()).create_task()  # the keys are known
    visitor = impostor.visitor()
    token = visitor.token()
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert jwt.decode(token, options={"verify_signature": False})["iss"] == frontend.url
    for foreign in (token, visitor.shared_secret_token()):
        assert todo.user(visitor, foreign).get().status_code == 401


@on_postgresql
@by_keys
def test_token_for_another_origin_is_401_although_it_is_signed_with_the_same_key(
    frontend: Frontend, todo: Todo, database_url: str, folder: Path
):
    known = jwt.get_unverified_header(frontend.visitor().token())
    with better_auth(folder, DATABASE_URL=database_url) as other:
        visitor = other.visitor()
        token = visitor.token()
    assert jwt.get_unverified_header(token) == known
    assert todo.user(visitor, token).get().status_code == 401


@on_postgresql
@by_keys
def test_tables_of_both_programs_coexist(todo: Todo, database_url: str):
    assert todo.http.get("/health/ready").status_code == 200
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert {name for (name,) in rows} == OUR_TABLES | THEIR_TABLES
