"""deploy/nginx.conf before two workers, with the settings of deploy/nginx.md: nothing is lost on the way."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.ecosystem.deployment import nginx
from tests.ecosystem.deployment.pages import dotenvs
from tests.faults.tasks import tasks_of
from tests.support.contract_checks import open_client
from tests.support.rate_limits import check_refusal, first_refusal
from tests.support.raw_http import exchange
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user, sign_token

[PAGE] = dotenvs("nginx.md")
LIMIT, PER = 3, 3600
CODED = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def api(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API as the page has it, but for its port, its file, and rates that can be used up."""
    file = tmp_path_factory.mktemp("todo") / "todo.db"
    here = {"DATABASE_URL": f"sqlite:///{file}", "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT": "on"}
    rate = {"RATE_LIMIT_LOGIN": f"{LIMIT}/hour", "RATE_LIMIT_API": "100000/minute"}
    page = {name: value for name, value in PAGE.items() if name != "PORT"}
    with run_server(folder, **page | here | rate) as server:
        yield server


@pytest.fixture(scope="module")
def url(api: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nginx.before(api, tmp_path_factory.mktemp("nginx")) as url:
        yield url


@pytest.fixture(scope="module")
def outside(url: str) -> Iterator[httpx.Client]:
    """Someone who comes through nginx; every answer is held to the contract."""
    with open_client(url, headers=CODED) as client:
        yield client


@pytest.fixture
def ada(outside: httpx.Client) -> User:
    return new_user(outside, "ada")


def test_task_is_made_read_changed_and_listed(ada: User):
    made = ada.post({"title": "Buy milk", "description": "x" * 2000})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    path = made.headers["location"].removeprefix(ada.tasks)
    same = {"If-None-Match": made.headers["etag"]}
    assert ada.request("GET", path, headers=same).status_code == 304
    ours = {"If-Match": ada.get(path).headers["etag"]}
    changed = ada.request("PATCH", path, json={"completed": True}, headers=ours)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert ada.request("DELETE", path, headers=ours).status_code == 412
    assert len(changed.headers.get_list("x-request-id")) == 1
    ada.create_task()
    assert len(tasks_of(ada)) == 2
    page = ada.get(limit=1)
    assert ada.http.get(page.links["next"]["url"], headers=ada.headers).status_code == 200


def test_another_origin_is_let_in(outside: httpx.Client):
    asked = {"Origin": PAGE["CORS_ORIGINS"], "Access-Control-Request-Method": "PATCH"}
    answer = outside.options("/api/ada/tasks/1", headers=asked)
    assert answer.headers["access-control-allow-origin"] == PAGE["CORS_ORIGINS"]


def test_long_token_passes(outside: httpx.Client):
    bearer = sign_token("ada-long", name="x" * 11_800)
    assert 15_000 < len(bearer) < 16_384
    assert User(outside, "ada-long", bearer).get().status_code == 200


@pytest.mark.parametrize("size", [65 * 1024, 2 * 1024 * 1024], ids=["refused by the API", "by nginx"])
def test_long_body_is_413(ada: User, size: int):
    answer = ada.post({"title": "x" * size})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:todo:problem:too-large")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["detail"] == "The body may be at most 65536 bytes."


@pytest.mark.parametrize(
    "path",
    ["/api/{}%2Ftasks", "/api/{}/tasks%2F1", "//api/{}/tasks", "/api//{}/tasks", "/api/{}/tasks/",
     "/api/{}/tasks/%2e", "/api/{}/tasks/01", "/api/x/../{}/tasks", "/api/{}/tasks/%0a", "/API/{}/tasks"],
)  # fmt: skip
def test_odd_path_is_404_as_it_is_without_nginx(ada: User, api: Server, url: str, path: str):
    bearer = f"Authorization: {ada.headers['Authorization']}"
    raw = f"GET {path.format(ada.id)} HTTP/1.1\r\nHost: x\r\n{bearer}\r\n\r\n"
    for at in (api.url, url):
        answer = exchange(at, raw.encode())
        assert (answer.status, json.loads(answer.body)["type"]) == (404, "urn:todo:problem:not-found")


@pytest.mark.parametrize(
    "path", ["/metrics", "//metrics", "/%6detrics", "/metrics/", "/x/../metrics", "/metrics?a"]
)
def test_metrics_are_for_this_machine(api: Server, url: str, path: str):
    answer = exchange(url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.status == 404
    assert b"todo_requests" not in answer.body
    assert httpx.get(f"{api.url}/metrics").status_code == 200


def test_clients_are_counted_by_their_own_address_and_cannot_choose_it(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "RATE_LIMIT": "on", "WORKERS": "1"}
    page = {name: value for name, value in PAGE.items() if name not in {"PORT", *settings}}
    rate = {"RATE_LIMIT_LOGIN": f"{LIMIT}/hour"}
    with run_server(folder, **page, **settings, **rate) as api, nginx.before(api, tmp_path) as url:
        one, other = (calling(url, source) for source in ("127.0.0.2", "127.0.0.3"))
        check_refusal(first_refusal(lambda: log_in(one), within=LIMIT + 1), "login", LIMIT, PER)
        assert log_in(other).status_code == 400
        for forged in ("192.0.2.1", "127.0.0.4, 127.0.0.1", ""):
            assert log_in(one, **{"X-Forwarded-For": forged, "X-Real-IP": forged}).status_code == 429


def calling(url: str, source: str) -> httpx.Client:
    """A client with that address."""
    return open_client(url, transport=httpx.HTTPTransport(local_address=source))


def log_in(http: httpx.Client, **headers: str) -> httpx.Response:
    """What cannot be read, and counts all the same."""
    return http.post("/api/auth/login", content=b"{", headers={"Content-Type": "application/json", **headers})


def test_compressing_would_make_every_careful_write_fail(api: Server, tmp_path: Path):
    on = ("gzip off;", "gzip on; gzip_types application/json;")
    with nginx.before(api, tmp_path, on) as url, httpx.Client(base_url=url, headers=CODED) as http:
        ada = new_user(http)
        path = f"/{ada.create_task(description='x' * 2000)['id']}"
        seen = ada.get(path).headers["etag"]
        assert seen == 'W/"1"'
        assert ada.request("DELETE", path, headers={"If-Match": seen}).status_code == 412


def test_restart_under_load_breaks_no_answer(api: Server, url: str, outside: httpx.Client):
    ada = new_user(outside)
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask_until_it_is_away, url, ada) for _ in range(4)]
        time.sleep(0.7)
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(timeout=10) == 0
    titles = [title for asked in asking for title in asked.result()]
    assert len(titles) > 4
    with api.database() as connection:
        kept = (
            connection.exec_driver_sql("SELECT title FROM tasks WHERE user_id = ?", (ada.id,)).scalars().all()
        )
    assert {*titles} <= {*kept}


def ask_until_it_is_away(url: str, who: User) -> list[str]:
    """The titles of what was made until the API was away; every answer is whole, and held to the contract."""
    made, away = [], 0
    with open_client(url) as http:
        here = User(http, who.id, who.headers["Authorization"].removeprefix("Bearer "))
        while away < 20:
            answer = here.post({"title": f"{id(made)} {len(made)}"})
            assert answer.status_code in {201, 503}
            if answer.status_code == 201:
                made.append(answer.json()["title"])
            else:
                assert int(answer.headers["retry-after"]) > 0
                away += 1
                time.sleep(0.02)
    return made
