"""Verifies JSON Web Tokens strictly (RFC 7519, RFC 8725), beyond what PyJWT checks."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from contract import strict_json
from contract.problems import InvalidRequest, InvalidToken
from contract.validation import load_contract

MAX_HEADER_LENGTH = 1024  # in base64url; issuers send less than 200
MAX_TOKEN_BYTES = 16 * 1024  # Better Auth puts the whole row of the user into the token
MAX_LIFETIME_S = 366 * 24 * 3600  # rejects an exp in milliseconds
LEEWAY_S = 30
MAX_KID_LENGTH = 255
CACHE_S, MAX_CACHED = 30, 4096  # verified tokens, at most 1 KiB each

# Header members that change what is signed or where the key comes from (RFC 7515 4.1, RFC 7797).
_FOREIGN_MEMBERS = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})
_TYPES = frozenset({"jwt", "at+jwt"})  # not better-auth.session-cache+jwt, signed with the same keys
_USER_ID = re.compile(load_contract()["components"]["schemas"]["UserId"]["pattern"])

_REASONS: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: "signature",
    jwt.ExpiredSignatureError: "exp",
    jwt.ImmatureSignatureError: "nbf",
    jwt.InvalidIssuedAtError: "iat",
    jwt.InvalidIssuerError: "iss",
    jwt.InvalidAudienceError: "aud",
}

KeyFinder = Callable[[str | None], Awaitable[jwt.PyJWK | None]]
"""Returns the key with this `kid`, or None. Raises Unavailable if the keys cannot be read."""


class Verified(NamedTuple):
    """A verified token as it is cached: its user, its key, and its expiry (Unix time)."""

    user: str
    kid: str | None
    key: jwt.PyJWK
    until: float


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Verifies the tokens of one issuer. An `issuer` or `audience` of None is not compared."""

    algorithms: frozenset[str]
    find_key: KeyFinder
    issuer: str | None = None
    audience: str | None = None
    previous: "Verifier | None" = None  # of the secret before a rotation
    clock: Callable[[], float] = time.time
    _cache: dict[bytes, Verified] = field(default_factory=dict, init=False, repr=False)

    async def verify(self, token: str) -> str:
        """Return the user, which is the claim `sub`. Raise InvalidToken with the first check that fails.

        A verified token is cached by its digest until it expires or its key changes, because a signature
        takes 50 to 150 µs to verify.
        """
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._cache.get(digest)
        if verified is None or not await self._is_valid(verified):
            try:
                verified = await self._verify(token)
            except InvalidToken as error:
                if self.previous is None or error.reason != "signature":
                    raise
                return await self.previous.verify(token)
            self._add_to_cache(digest, verified)
        return verified.user

    async def _is_valid(self, verified: Verified) -> bool:
        return self.clock() < verified.until and await self.find_key(verified.kid) is verified.key

    def _add_to_cache(self, digest: bytes, verified: Verified) -> None:
        self._cache.pop(digest, None)
        if len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest
        self._cache[digest] = verified

    async def _verify(self, token: str) -> Verified:
        header, payload, signature = _parse(token)
        self._check_header(header)
        _check_claims(payload)
        self._check_purpose(payload)
        kid = header.get("kid")
        key = await self.find_key(kid)
        if key is None:
            raise InvalidToken("kid")
        if not _has_length_for(key, signature):
            raise InvalidToken("signature")
        claims = self._decode(token, key, header["alg"])
        return Verified(claims["sub"], kid, key, until=min(self.clock() + CACHE_S, claims["exp"]))

    def _check_header(self, header: dict[str, Any]) -> None:
        algorithm, kind, kid = header.get("alg"), header.get("typ", "JWT"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            raise InvalidToken("alg")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken("typ")
        if not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH:
            raise InvalidToken("kid")
        if not _FOREIGN_MEMBERS.isdisjoint(header):
            raise InvalidToken("format")

    def _check_purpose(self, claims: dict[str, Any]) -> None:
        """Check issuer, audience and times before any key is fetched; PyJWT checks them again."""
        claimed = claims.get("aud")
        audiences = claimed if isinstance(claimed, list) else [claimed]
        if claims["exp"] <= self.clock() - LEEWAY_S:
            raise InvalidToken("exp")
        if self.issuer not in (None, claims.get("iss")):
            raise InvalidToken("iss")
        if self.audience not in (None, *audiences):
            raise InvalidToken("aud")

    def _decode(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub"], "verify_aud": self.audience is not None},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:  # the last two for some malformed tokens
            raise InvalidToken(_REASONS.get(type(error), "format")) from None
        return claims


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token without verification. Raise InvalidToken if it has another format."""
    return _parse(token)[1]


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return header, payload and signature without verification."""
    segments = token.split(".")
    if len(token) > MAX_TOKEN_BYTES or len(segments) != 3 or len(segments[0]) > MAX_HEADER_LENGTH:
        raise InvalidToken("format")
    header, payload, signature = (_decode_segment(segment) for segment in segments)
    try:
        members = strict_json.loads(header), strict_json.loads(payload)
    except InvalidRequest:
        raise InvalidToken("format") from None
    if not all(isinstance(member, dict) for member in members):
        raise InvalidToken("format")
    return *members, signature


def _has_length_for(key: jwt.PyJWK, signature: bytes) -> bool:
    """Return whether an RSA signature is as long as its key (RFC 8017 8.1.2). OpenSSL does not check it."""
    return not isinstance(key.key, RSAPublicKey) or len(signature) == (key.key.key_size + 7) // 8


def _decode_segment(segment: str) -> bytes:
    """Decode a non-empty segment of canonical base64url without padding."""
    try:
        decoded = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidToken("format") from None
    if not segment or base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise InvalidToken("format")
    return decoded


def _check_claims(claims: dict[str, Any]) -> None:
    """Check what PyJWT ignores: types, an upper bound, the form of `sub`."""
    subject, expiry = claims.get("sub"), claims.get("exp")
    times = [claims[name] for name in ("exp", "iat", "nbf") if name in claims]
    if not isinstance(subject, str) or not _USER_ID.fullmatch(subject):
        raise InvalidToken("sub")
    if (
        expiry is None
        or not all(type(moment) in {int, float} for moment in times)
        or expiry - claims.get("iat", time.time()) > MAX_LIFETIME_S
    ):
        raise InvalidToken("exp")
