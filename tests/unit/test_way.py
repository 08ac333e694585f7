"""The way of a request: through these files and no others, so that an upgrade which makes it longer is seen.

Connexion loads the contract, resolves the handlers and keeps the order of the middlewares; of what it does to
each request by default, nothing is left.
"""

import asyncio
import re
import sys
from pathlib import PurePath
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message

from app import create_app
from benchmarks.in_process import StillDatabase, Trust, scope
from settings import Settings
from tests.support.server import ROOT

PACKAGES = {"connexion", "starlette", "jsonschema", "werkzeug", "flask", "inspect", "copy", "json"}
ON_THE_WAY = {
    "connexion/apps/abstract.py",  # the app itself
    "connexion/middleware/main.py",
    "connexion/middleware/abstract.py",  # finds the operation, in the gate, the request and the reply
    "connexion/middleware/lifespan.py",
    "starlette/middleware/cors.py",  # tells preflights from requests
    "starlette/datastructures.py",
    "starlette/requests.py",  # what the bearer hook is given
    "starlette/_utils.py",
}
HEADERS = [(b"host", b"localhost"), (b"authorization", b"Bearer x"), (b"accept", b"*/*")]


@pytest.fixture
def files() -> dict[str, None]:
    """What runs for one GET of a task, when the stack has been built; in the order of their first lines."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            seen["/".join(PurePath(frame.f_code.co_filename).parts[-3:])] = None

    asyncio.run(get_one_twice(note))
    return seen


async def get_one_twice(note: Any) -> None:
    app = create_app(Settings(database_url="sqlite:///none.db", better_auth_secret="x" * 32))
    services: Any = SimpleNamespace(database=StillDatabase(), issuer=None)
    state = {"services": services, "verifier": Trust()}
    for profile in (None, note):
        answers: list[Message] = []

        async def send(message: Message, answers: list[Message] = answers) -> None:
            answers.append(message)

        sys.setprofile(profile)
        try:
            await app(scope(HEADERS, state), receive, send)
        finally:
            sys.setprofile(None)
        assert answers[0]["status"] == 200


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_of_the_libraries_only_these_are_on_the_way(files: dict[str, None]):
    found = {file for file in files if PACKAGES.intersection(PurePath(file).with_suffix("").parts)}
    assert {file.removeprefix("site-packages/") for file in found} <= ON_THE_WAY
    assert "connexion/middleware/main.py" in files


def test_picture_in_the_readme_shows_the_way(files: dict[str, None]):
    picture = (ROOT / "docs" / "request.svg").read_text(encoding="utf-8")
    *drawn, reply = re.findall('class="room".*?>([a-z/]+[.]py)<', picture)
    ours = {PurePath(*PurePath(file).parts[-2:]).as_posix(): None for file in files}
    assert [file for file in ours if file in drawn] == drawn
    assert reply in ours
