"""Ways to forge a token: in its encoding, in its content, in the input of its signature."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from tests.support.token_issuers import Issuer, as_json, decode, encode, jwk_of, private_key, segment

Change = Callable[[bytes], str | bytes]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def write(issuer: Issuer, header: Change = bytes, payload: Change = bytes) -> str:
    """Return a valid token with a changed encoding of header or payload. Text is used as the segment."""
    made = header(as_json(issuer.header())), payload(as_json(issuer.claims()))
    return issuer.append_signature(".".join(part if isinstance(part, str) else encode(part) for part in made))


def change_signature(issuer: Issuer, change: Change) -> str:
    header, payload, signature = issuer.token().split(".")
    made = change(decode(signature))
    return f"{header}.{payload}.{made if isinstance(made, str) else encode(made)}"


def sign_other_input(issuer: Issuer, sign: Callable[[str, str], bytes]) -> str:
    """Return a valid token whose signature is `sign(header, payload)`."""
    header, payload, _ = issuer.token().split(".")
    return f"{header}.{payload}.{encode(sign(header, payload))}"


def segments_without(issuer: Issuer, segment_number: int) -> list[str]:
    """Return the segments of a valid token except one."""
    segments = issuer.token().split(".")
    return segments[:segment_number] + segments[segment_number + 1 :]


def needing_padding(raw: bytes) -> str:
    """Return a segment of a length that needs padding in base64. JSON may end in a space."""
    return encode(raw + b" " * (len(raw) % 3 == 0))


def respell(raw: bytes) -> str:
    """Return a second encoding of the same bytes: the last character's low bits are not used."""
    text = needing_padding(raw)
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]


def pad(raw: bytes) -> str:
    text = needing_padding(raw)
    return text + "=" * (-len(text) % 4)


def lengthen(raw: bytes) -> str:
    """Return a segment one character longer than a multiple of 4, which no base64 text is."""
    return encode(raw + b" " * (-len(raw) % 3)) + "A"


def with_slashes(raw: bytes) -> str:
    """Return a segment in base64, with + and /, instead of base64url."""
    return base64.b64encode(with_member('"x":"~~~???>>>"')(raw)).rstrip(b"=").decode()


def signature_with_slashes(issuer: Issuer) -> str:
    """Return a token whose signature has + or / in place of - or _. Not every signature has those."""
    tokens = (issuer.token(number=number).rpartition(".") for number in count())
    signing_input, dot, signature = next(found for found in tokens if {*"-_"} & {*found[2]})
    return signing_input + dot + signature.replace("-", "+").replace("_", "/")


def with_member(member: str | bytes) -> Callable[[bytes], bytes]:
    """Return a change that inserts a member before those of the object."""
    raw = member if isinstance(member, bytes) else member.encode()
    return lambda text: b"{" + raw + b"," + text[1:]


def with_claim(issuer: Issuer, name: str, value: str) -> str:
    """Return a token with a claim in JSON that Python would not write."""
    member = with_member(f'"{name}":{value}')
    return issuer.sign(issuer.header(), member(as_json(issuer.claims(**{name: ...}))))


def of_length(issuer: Issuer, wanted: int) -> str:
    """Return a valid token of exactly that many characters."""
    for header in (issuer.header(filler="x" * more) for more in range(4)):
        size = (wanted - len(issuer.sign(header, issuer.claims(image="")))) * 3 // 4
        for token in (issuer.sign(header, issuer.claims(image="x" * (size + more))) for more in range(-2, 3)):
            if len(token) == wanted:
                return token
    raise AssertionError(f"no token has {wanted} characters")


def hs256(issuer: Issuer, secret: bytes, **header: Any) -> str:
    """Sign with HS256 without PyJWT, which refuses secrets that are public keys."""
    signing_input = f"{segment(issuer.header(alg='HS256', **header))}.{segment(issuer.claims())}"
    return f"{signing_input}.{encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def impostor(issuer: Issuer) -> Issuer:
    """Return an issuer that differs in its key alone."""
    return replace(issuer, key=private_key(f"{issuer.algorithm}-impostor"))


def impostor_jwk(issuer: Issuer) -> dict[str, Any]:
    key = impostor(issuer).key
    return jwk_of(key if issuer.algorithm == "HS256" else key.public_key(), issuer.algorithm)


def flip_bit(raw: bytes, at: int) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


# Points of Ed25519 whose order divides 8: signatures under such a public key need no private key.
_SMALL_ORDER = {
    "order 1": "01" + "00" * 31,
    "order 1, above the field": "ee" + "ff" * 30 + "7f",
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 4, above the field": "ed" + "ff" * 30 + "7f",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, another": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}
SMALL_ORDER = {name: bytes.fromhex(point) for name, point in _SMALL_ORDER.items()}
SMALL_ORDER |= {f"{name}, with its sign": at[:-1] + bytes([at[-1] | 128]) for name, at in SMALL_ORDER.items()}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def small_order_jwk(name: str) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": name, "x": encode(SMALL_ORDER[name])}


def small_order_token(name: str) -> str:
    """Sign without a private key: R = 1, S = 0 is the signature of at least one message in eight."""
    issuer, signature = Issuer("EdDSA", None, name), b"\1" + bytes(63)
    tokens = (f"{segment(issuer.header())}.{segment(issuer.claims(number=number))}" for number in count())
    signed = signature[:32] + SMALL_ORDER[name]
    signing_input = next(token for token in tokens if _multiplier(signed + token.encode()) % 8 == 0)
    return f"{signing_input}.{encode(signature)}"


def _multiplier(signed: bytes) -> int:
    """Return the public key's factor in the equation that verifies a signature (RFC 8032 5.1.7)."""
    return int.from_bytes(hashlib.sha512(signed).digest(), "little") % ED25519_ORDER
