"""HTTP clients that ask to upgrade to HTTP/2, with a body: curl and Java's default one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import on_sqlite
from tests.support.programs import find, needed
from tests.support.users import User

pytestmark = on_sqlite
BODY = '{"completed":true}'


def complete_with_curl(url: str, ada: User) -> tuple[str, ...]:
    headers = (f"Authorization: Bearer {ada.token}", "Content-Type: application/json")
    options = ("--silent", "--http2", "--request", "PATCH", "--data", BODY, "--header", headers[0])
    return (needed("curl", package="curl"), *options, "--header", headers[1], url)


def complete_with_java(url: str, ada: User) -> tuple[str, ...]:
    if not find("javac"):
        pytest.skip("no JDK is installed")
    return (
        needed("java", package="a JDK"),
        str(Path(__file__).with_name("UpgradingClient.java")),
        url,
        ada.token,
        BODY,
    )


@pytest.mark.parametrize("complete", [complete_with_curl, complete_with_java])
def test_body_of_a_client_that_asks_for_http2_is_used(
    ada: User, complete: Callable[[str, User], tuple[str, ...]]
):
    task = ada.create_task(completed=True)
    url = f"{ada.http.base_url}{ada.tasks}/{task['id']}/complete"
    ended = subprocess.run(complete(url, ada), capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ended.stdout)["completed"] is True
