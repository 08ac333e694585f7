"""The path of a request through the libraries: an upgrade that makes the path longer fails here.

Connexion loads the contract, finds the handlers and orders the middlewares. Its own work for each request,
which it does by default, is replaced.
"""

import asyncio
import sys
from pathlib import PurePath
from types import FrameType, SimpleNamespace
from typing import Any

from starlette.types import Message

from app import create_app
from benchmarks.in_process import StillDatabase, Trust, scope
from settings import Settings

PACKAGES = {"connexion", "starlette", "jsonschema", "werkzeug", "flask", "inspect", "copy", "json"}
EXPECTED = {
    "connexion/apps/abstract.py",  # the app itself
    "connexion/middleware/main.py",
    "connexion/middleware/abstract.py",  # finds the operation, once for each of our middlewares
    "connexion/middleware/lifespan.py",
    "starlette/middleware/cors.py",  # tells preflight requests from others
    "starlette/datastructures.py",
    "starlette/requests.py",  # the bearer hook's argument
    "starlette/_utils.py",
}
HEADERS = [(b"host", b"localhost"), (b"authorization", b"Bearer x"), (b"accept", b"*/*")]


async def files_of_a_second_request() -> set[str]:
    """Return the files whose functions run for a GET of a task, when the middlewares are built already."""
    app = create_app(Settings(database_url="sqlite:///none.db", better_auth_secret="x" * 32))
    services: Any = SimpleNamespace(database=StillDatabase(), issuer=None)
    state = {"services": services, "verifier": Trust()}
    files: set[str] = set()
    statuses: list[int] = []

    def record(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            files.add("/".join(PurePath(frame.f_code.co_filename).parts[-3:]))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.append(message["status"])

    for profile in (None, record):
        sys.setprofile(profile)
        try:
            await app(scope(HEADERS, state), receive, send)
        finally:
            sys.setprofile(None)
    assert statuses == [200, 200]
    return files


def test_request_runs_only_these_files_of_the_libraries():
    files = asyncio.run(files_of_a_second_request())
    found = {file for file in files if PACKAGES.intersection(PurePath(file).with_suffix("").parts)}
    assert {file.removeprefix("site-packages/") for file in found} <= EXPECTED
    assert "connexion/middleware/main.py" in files
