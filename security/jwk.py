"""Selects the keys of a JSON Web Key Set (RFC 7517) that may verify tokens."""

from typing import Any

import jwt

from contract import strict_json

ALGORITHMS = frozenset({"EdDSA", "ES256", "RS256", "PS256"})
MIN_RSA_BITS = 2048  # RFC 7518 3.3

_CURVES = {"OKP": {"Ed25519": "EdDSA"}, "EC": {"P-256": "ES256"}}
_PRIVATE_MEMBERS = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})

# The y coordinates, without the sign bit, of Ed25519 points whose order divides 8, canonical or not. Anyone
# can make a signature for such a key (RFC 8032 leaves the check to the application).
_P = 2**255 - 19
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = frozenset({0, 1, _P - 1, _P, _P + 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def parse_key_set(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable keys by kid.

    Raise InvalidRequest or ValueError if `document` is not a key set.
    """
    members = strict_json.loads(document)
    entries = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(entries, list):
        raise ValueError("this is not a key set")
    return {entry["kid"]: key for entry in entries if (key := _find_key(entry)) is not None}


def _find_key(entry: Any) -> jwt.PyJWK | None:
    """Return a public signing key of an accepted algorithm, or None."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    if not _PRIVATE_MEMBERS.isdisjoint(entry) or not _is_for_signatures(entry):
        return None
    algorithm = _find_algorithm(entry)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
        is_weak = _is_weak(entry, key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if is_weak else key


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _find_algorithm(entry: dict[str, Any]) -> str | None:
    """Return the algorithm of a key. An RSA key without `alg` is for RS256."""
    if entry.get("kty") == "RSA":
        named = entry.get("alg", "RS256")
        return str(named) if named in ("RS256", "PS256") else None
    return _CURVES.get(str(entry.get("kty")), {}).get(str(entry.get("crv")))


def _is_weak(entry: dict[str, Any], key: jwt.PyJWK) -> bool:
    """Return whether the key is too weak to be trusted. Raise ValueError if it is malformed."""
    if entry["kty"] == "RSA":
        return bool(key.key.key_size < MIN_RSA_BITS or key.key.public_numbers().e == 1)
    if entry["kty"] == "OKP":
        y = int.from_bytes(key.key.public_bytes_raw(), "little") & (2**255 - 1)
        return y in _SMALL_ORDER
    return False
