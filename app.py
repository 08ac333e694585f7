"""Assemble the app: settings, database, security, Connexion and the edge."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

# Connexion imports Starlette's test client, which warns of its own HTTP library.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")

import httpx
import orjson
from connexion import AsyncApp
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import RelativeResolver

from contract import docs, validation
from contract.bodies import BodyLimits
from contract.cors import Cors
from contract.edge import EdgeMiddleware
from handlers.context import Services
from observability import metrics
from persistence import expiry, schema
from persistence.database import Database, describe_for_spans, parse_url
from persistence.quota import Quota
from persistence.statements import no_step
from security import jwk, keys
from security.gate import Gate
from security.issuer import Issuer
from security.passwords import Passwords
from security.rate_limits import RateLimits
from security.tokens import Verifier
from settings import Settings

if TYPE_CHECKING:
    from observability.spans import Tracing

DATABASE_WAIT_S = 5  # then the server starts without a database, and is not ready


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncApp:
    """Return the ASGI app. It connects to nothing until its startup."""
    document = validation.load_contract()
    metrics.set_version(document["info"]["version"])
    tracing = _create_tracing(settings, document)
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        around=tracing.around_statement if tracing else None,
        step=tracing.step if tracing else no_step,
    )
    rate_limits = _create_rate_limits(settings)
    services = Services(
        database=database,
        rate_limits=rate_limits,
        passwords=Passwords(),
        issuer=None if settings.has_outside_issuer else Issuer(database, settings.public_url, clock),
        contract_json=orjson.dumps(document),
        quota=Quota(settings.max_tasks_per_user),
        clock=clock,
    )
    app = AsyncApp(
        __name__,
        lifespan=partial(
            _lifespan, services, create_verifier(settings, services.issuer), tracing, settings.run_migrations
        ),
        middlewares=[
            partial(EdgeMiddleware, cors_rules=Cors(settings.cors_origins, document), tracing=tracing),
            partial(docs.DocsMiddleware, issuer=settings.issuer),
            LifespanMiddleware,
        ],
        swagger_ui_options=docs.OPTIONS,
    )
    app.add_api(
        document,
        resolver=RelativeResolver("handlers"),
        body_limits=BodyLimits(settings.max_body_bytes, settings.body_timeout),
        make_gate=partial(Gate, rate_limits=rate_limits),
    )
    return app


def _create_rate_limits(settings: Settings) -> RateLimits | None:
    """Return the rate limits that the contract names. None if rate limiting is off."""
    if not settings.rate_limit:
        return None
    rates = {
        "login": settings.rate_limit_login,
        "signup": settings.rate_limit_signup,
        "api": settings.rate_limit_api,
    }
    return RateLimits(rates, settings.rate_limit_storage)


def _create_tracing(settings: Settings, document: Mapping[str, Any]) -> "Tracing | None":
    """Return the tracing. None if no collector is set: the packages are optional."""
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    from observability import spans  # noqa: PLC0415

    return spans.Tracing(
        settings.otel_exporter_otlp_endpoint,
        document,
        public_url=settings.public_url,
        database=describe_for_spans(parse_url(settings.database_url)),
    )


def create_verifier(settings: Settings, issuer: Issuer | None) -> Verifier:
    """Return the verifier for tokens of the issuer in the settings."""
    if issuer is not None:
        return Verifier(
            algorithms=frozenset({"EdDSA"}),
            find_key=issuer.find_key,
            issuer=settings.public_url,
            audience=settings.public_url,
        )
    outside = partial(Verifier, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    if settings.jwks_url:
        return outside(algorithms=jwk.ALGORITHMS, find_key=keys.KeySet(settings.jwks_url).find)
    with_secret = partial(outside, algorithms=frozenset({"HS256"}))
    current, previous = settings.better_auth_secret or "", settings.better_auth_secret_previous
    return with_secret(
        find_key=keys.SharedSecret(current).find,
        previous=with_secret(find_key=keys.SharedSecret(previous).find) if previous else None,
    )


@asynccontextmanager
async def _lifespan(
    services: Services, verifier: Verifier, tracing: "Tracing | None", may_migrate: bool, _app: Any
) -> AsyncIterator[dict[str, Any]]:
    """Migrate, serve and close. An unreachable database delays startup by DATABASE_WAIT_S at most."""
    upgrading = asyncio.create_task(schema.prepare(services.database, may_migrate=may_migrate))
    sweeping = asyncio.create_task(_sweep_after(upgrading, services))
    if services.issuer is not None:
        services.passwords.prepare()
    await asyncio.wait({upgrading}, timeout=DATABASE_WAIT_S)
    yield {"services": services, "verifier": verifier}
    upgrading.cancel()
    sweeping.cancel()
    services.passwords.close()
    flushing = asyncio.to_thread(tracing.close) if tracing else asyncio.sleep(0)
    await asyncio.gather(flushing, services.database.close())


async def _sweep_after(upgrading: asyncio.Task[None], services: Services) -> None:
    await asyncio.wait({upgrading})
    await expiry.sweep_forever(services.database, services.clock)


async def check_assembly(settings: Settings) -> None:
    """Assemble the app and send one request that needs no database.

    Raise Connexion's ResolverError if an operation has no handler, TypeError if the arguments of a handler
    differ from the contract, and the errors of security/gate.py.
    """
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        (await client.get("/health/live")).raise_for_status()


if __name__ == "__main__":  # for `make check`
    asyncio.run(check_assembly(Settings()))
