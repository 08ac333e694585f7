"""The keys of the built-in issuer, in process on a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from persistence import schema, signing_keys
from persistence.database import Database
from persistence.statements import Compiled, Parameters, Run
from security.issuer import Issuer, create_key, select_valid

pytestmark = pytest.mark.anyio

ORIGIN = "http://127.0.0.1:8000"


class Clock:
    """The time, which a test moves forward."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class CountedDatabase(Database):
    """A database that counts the statements that run on it."""

    def __init__(self, url: str) -> None:
        self.statement_count = 0
        super().__init__(url, around=self._count)

    def _count(self, run: Run) -> Run:
        async def count_and_run(compiled: Compiled, parameters: Parameters) -> Any:
            self.statement_count += 1
            return await run(compiled, parameters)

        return count_and_run


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[CountedDatabase]:
    """Open the database at `url` with the newest schema."""
    database = CountedDatabase(url)
    await schema.upgrade(database)
    yield database
    await database.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncIterator[CountedDatabase]:
    async with open_database(f"sqlite:///{tmp_path}/todo.db") as database:
        yield database


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_unknown_kids_read_the_keys_at_most_once_in_2_seconds(counted: CountedDatabase, clock: Clock):
    issuer = Issuer(counted, ORIGIN, clock)
    await issuer.sign_token("ada")
    before = counted.statement_count
    for number in range(1000):
        assert await issuer.find_key(f"unknown-{number}") is None
        clock.advance(0.01)
    assert 4 <= counted.statement_count - before <= 5


def test_concurrent_unknown_kids_read_the_keys_once(new_database: Callable[[], str], clock: Clock):
    url = new_database()

    async def find_unknown_keys() -> int:
        async with open_database(url) as database:
            issuer = Issuer(database, ORIGIN, clock)
            await issuer.sign_token("ada")
            clock.advance(3)
            before = database.statement_count
            found = await asyncio.gather(*(issuer.find_key(f"unknown-{number}") for number in range(200)))
            assert found == [None] * 200
            return database.statement_count - before

    assert asyncio.run(find_unknown_keys()) == 1


async def test_known_kid_reads_the_keys_once_in_a_minute_and_does_not_wait(
    counted: CountedDatabase, clock: Clock
):
    issuer = Issuer(counted, ORIGIN, clock)
    kid = kid_of(await issuer.sign_token("ada"))
    before, key = counted.statement_count, await issuer.find_key(kid)
    for _ in range(60):
        assert await issuer.find_key(kid)
        clock.advance(1)
    assert counted.statement_count == before
    for _ in range(10):
        clock.advance(1)
        assert await issuer.find_key(kid)
        await asyncio.sleep(0.01)
    assert counted.statement_count == before + 1
    assert await issuer.find_key(kid) is key  # so that cached tokens stay valid


async def rotate(database: Database, now: datetime, *, revoke: bool) -> str:
    kid, private_jwk = create_key()
    select_kept = (lambda rows: rows[:1]) if revoke else partial(select_valid, now=now)
    await signing_keys.rotate(database, kid=kid, private_jwk=private_jwk, now=now, select_kept=select_kept)
    return kid


def test_rotated_key_signs_at_once_and_the_previous_one_is_valid_until_its_tokens_expire(
    new_database: Callable[[], str], clock: Clock
):
    async def rotate_and_verify(url: str) -> None:
        async with open_database(url) as database:
            here, there = (Issuer(database, ORIGIN, clock) for _ in range(2))
            old = kid_of(await here.sign_token("ada"))
            assert await there.find_key(old)
            new = await rotate(database, clock.now, revoke=False)
            assert kid_of(await here.sign_token("ada")) == new
            assert await here.find_key(old)
            clock.advance(3)
            assert await there.find_key(new)
            assert [jwk["kid"] for jwk in await there.get_public_jwks()] == [new, old]
            clock.advance(15 * 60)  # the last token of the old key has expired
            assert await here.find_key(old)
            clock.advance(5 * 60 + 1)
            assert await here.find_key(old) is None
            newest = await rotate(database, clock.now, revoke=False)
            rows = await signing_keys.list_newest_first(database)
            assert [row.kid for row in rows] == [newest, new]

    asyncio.run(rotate_and_verify(new_database()))


def test_revoked_key_is_rejected_by_every_server_within_5_minutes(
    new_database: Callable[[], str], clock: Clock
):
    async def revoke_and_verify(url: str) -> None:
        async with open_database(url) as database:
            quiet, busy = (Issuer(database, ORIGIN, clock) for _ in range(2))
            old = kid_of(await quiet.sign_token("ada"))
            assert await busy.find_key(old)
            new = await rotate(database, clock.now, revoke=True)
            for _ in range(4):
                clock.advance(20)
                await busy.find_key(old)
                await asyncio.sleep(0.05)
            assert await busy.find_key(old) is None
            clock.advance(300 - 80 + 1)
            assert await quiet.find_key(old) is None
            assert [row.kid for row in await signing_keys.list_newest_first(database)] == [new]

    asyncio.run(revoke_and_verify(new_database()))


async def test_key_of_another_server_is_found_after_2_seconds(counted: CountedDatabase, clock: Clock):
    issuer = Issuer(counted, ORIGIN, clock)
    old = kid_of(await issuer.sign_token("ada"))
    kid, private_jwk = create_key()
    await signing_keys.add(counted, 2, kid=kid, private_jwk=private_jwk, now=clock.now)
    clock.advance(1)
    assert await issuer.find_key(kid) is None
    clock.advance(1.1)
    assert await issuer.find_key(kid)
    assert await issuer.find_key(old)
    assert kid_of(await issuer.sign_token("ada")) == kid


async def test_key_outlives_the_server_and_an_upgrade(tmp_path: Path, clock: Clock):
    async with open_database(f"sqlite:///{tmp_path}/todo.db") as database:
        token = await Issuer(database, ORIGIN, clock).sign_token("ada")
    async with open_database(f"sqlite:///{tmp_path}/todo.db") as database:
        key = await Issuer(database, ORIGIN, clock).find_key(kid_of(token))
    assert key is not None
    claims = jwt.decode(token, key, algorithms=["EdDSA"], issuer=ORIGIN, audience=ORIGIN)
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ada", 900)
