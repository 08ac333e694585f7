"""deploy/nginx.conf in front of two workers, with the settings of deploy/nginx.md, changes no response."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.ecosystem.deployment.nginx import run_nginx
from tests.ecosystem.deployment.pages import settings_of
from tests.support.contract_checks import open_client
from tests.support.raw_http import exchange
from tests.support.server import Server, run_server
from tests.support.users import SECRET, User, new_user, sign_token

PAGE = {name: value for name, value in settings_of("nginx.md").items() if name != "PORT"}
LOGINS = 3
GZIP = {"Accept-Encoding": "gzip"}
ODD_PATHS = (
    "/api/{}%2Ftasks", "/api/{}/tasks%2F1", "//api/{}/tasks", "/api//{}/tasks", "/api/{}/tasks/",
    "/api/{}/tasks/%2e", "/api/{}/tasks/01", "/api/x/../{}/tasks", "/api/{}/tasks/%0a", "/API/{}/tasks",
)  # fmt: skip
METRICS_PATHS = ("/metrics", "//metrics", "/%6detrics", "/metrics/", "/x/../metrics", "/metrics?a")


@pytest.fixture(scope="module")
def api(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API with the settings of the page, except for its port and its database."""
    file = tmp_path_factory.mktemp("todo") / "todo.db"
    here = {"DATABASE_URL": f"sqlite:///{file}", "BETTER_AUTH_SECRET": SECRET}
    with run_server(folder, **PAGE | here) as server:
        yield server


@pytest.fixture(scope="module")
def url(api: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_nginx(api.url, tmp_path_factory.mktemp("nginx")) as nginx:
        yield nginx.url


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    """A client of nginx, which checks every response against the contract."""
    with open_client(url, headers=GZIP) as client:
        yield client


@pytest.fixture
def ada(http: httpx.Client) -> User:
    return new_user(http, "ada")


def test_task_is_created_read_changed_and_listed(ada: User):
    created = ada.post({"title": "Buy milk", "description": "x" * 2000})
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    path = created.headers["location"].removeprefix(ada.tasks)
    unchanged = {"If-None-Match": created.headers["etag"]}
    assert ada.request("GET", path, headers=unchanged).status_code == 304
    current = {"If-Match": ada.get(path).headers["etag"]}
    changed = ada.request("PATCH", path, json={"completed": True}, headers=current)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert ada.request("DELETE", path, headers=current).status_code == 412
    assert len(changed.headers.get_list("x-request-id")) == 1
    ada.create_task()
    assert len(ada.list_all(limit=1)) == 2


def test_allowed_origin_and_long_token_pass(http: httpx.Client):
    preflight = {"Origin": PAGE["CORS_ORIGINS"], "Access-Control-Request-Method": "PATCH"}
    response = http.options("/api/ada/tasks/1", headers=preflight)
    assert response.headers["access-control-allow-origin"] == PAGE["CORS_ORIGINS"]
    token = sign_token("ada-long", name="x" * 11_800)
    assert 15_000 < len(token) < 16_384
    assert User(http, "ada-long", token).get().status_code == 200


@pytest.mark.parametrize("origin", [PAGE["CORS_ORIGINS"], "https://other.example.com"])
def test_problem_of_nginx_has_the_cross_origin_headers_of_the_api(http: httpx.Client, origin: str):
    by_nginx, by_api = (http.get(path, headers={"Origin": origin}) for path in ("/metrics", "/api/ada/tasks"))
    assert (by_nginx.status_code, by_api.status_code) == (404, 401)
    assert cross_origin_headers(by_nginx) == cross_origin_headers(by_api)


def cross_origin_headers(response: httpx.Response) -> dict[str, str]:
    return {
        name: value for name, value in response.headers.items() if name in {"vary"} or "-control-" in name
    }


@pytest.mark.parametrize("size", [65 * 1024, 2 * 1024 * 1024], ids=["by the API", "by nginx"])
def test_long_body_is_413(ada: User, size: int):
    response = ada.post({"title": "x" * size})
    assert (response.status_code, response.json()["type"]) == (413, "urn:todo:problem:too-large")
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert response.json()["detail"] == "The body may be at most 65536 bytes."


def test_odd_path_is_404_with_and_without_nginx(ada: User, api: Server, url: str):
    for path in ODD_PATHS:
        head = f"GET {path.format(ada.id)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n\r\n"
        for server in (api.url, url):
            response = exchange(server, head.encode())
            assert response.status == 404, path
            assert json.loads(response.body)["type"] == "urn:todo:problem:not-found", path


def test_metrics_are_for_this_machine_only(api: Server, url: str):
    for path in METRICS_PATHS:
        response = exchange(url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert response.status == 404, path
        assert b"todo_requests" not in response.body
    assert httpx.get(f"{api.url}/metrics", verify=False).status_code == 200


def test_clients_are_limited_by_their_own_address_and_cannot_choose_it(folder: Path, tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "RATE_LIMIT": "on", "WORKERS": "1"}
    settings["RATE_LIMIT_LOGIN"] = f"{LOGINS}/hour"
    with run_server(folder, **PAGE | settings) as api, run_nginx(api.url, tmp_path) as nginx:
        one, other = (open_client_at(nginx.url, address) for address in ("127.0.0.2", "127.0.0.3"))
        assert [log_in(one) for _ in range(LOGINS + 1)] == [400] * LOGINS + [429]
        assert log_in(other) == 400
        for forged in ("192.0.2.1", "127.0.0.4, 127.0.0.1", ""):
            assert log_in(one, **{"X-Forwarded-For": forged, "X-Real-IP": forged}) == 429


def open_client_at(url: str, address: str) -> httpx.Client:
    return open_client(url, transport=httpx.HTTPTransport(local_address=address, verify=False))


def log_in(http: httpx.Client, **headers: str) -> int:
    """Send a body that cannot be parsed, which counts all the same, and return the status."""
    headers |= {"Content-Type": "application/json"}
    return http.post("/api/auth/login", content=b"{", headers=headers).status_code


def open_unchecked_client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=GZIP, verify=False)


def test_compression_would_make_every_if_match_fail(api: Server, tmp_path: Path):
    gzip_on = ("gzip off;", "gzip on; gzip_types application/json;")
    with run_nginx(api.url, tmp_path, gzip_on) as nginx, open_unchecked_client(nginx.url) as http:
        ada = new_user(http)
        path = f"/{ada.create_task(description='x' * 2000)['id']}"
        etag = ada.get(path).headers["etag"]
        assert etag == 'W/"1"'
        assert ada.request("DELETE", path, headers={"If-Match": etag}).status_code == 412


# The last test that uses `api`: it stops it.
def test_shutdown_of_the_api_under_load_breaks_no_response(api: Server, url: str, http: httpx.Client):
    ada = new_user(http)
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(create_until_unavailable, url, ada) for _ in range(4)]
        time.sleep(0.7)
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(timeout=10) == 0
    created = {title for writer in writers for title in writer.result()}
    assert len(created) > 4
    with api.database() as connection:
        rows = connection.exec_driver_sql("SELECT title FROM tasks WHERE user_id = ?", (ada.id,))
        assert created <= {*rows.scalars().all()}


def create_until_unavailable(url: str, ada: User) -> list[str]:
    """Create tasks until the API is down, and return their titles. Every response is whole."""
    created: list[str] = []
    unavailable = 0
    with open_client(url) as http:
        while unavailable < 20:
            response = ada.on(http).post({"title": f"{id(created)} {len(created)}"})
            assert response.status_code in {201, 503}
            if response.status_code == 201:
                created.append(response.json()["title"])
            else:
                assert int(response.headers["retry-after"]) > 0
                unavailable += 1
                time.sleep(0.02)
    return created
