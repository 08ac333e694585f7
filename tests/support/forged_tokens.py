"""How a good token is spoilt: in how it is written, in what it says, in what its signature is made from."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from tests.support.token_issuers import Issuer, as_json, decoded, encoded, jwk_of, private_key, segment

Change = Callable[[bytes], str | bytes]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def written(our: Issuer, header: Change = bytes, payload: Change = bytes) -> str:
    """A good token, but for how its header or payload is written. Text is taken as the segment itself."""
    made = header(as_json(our.header())), payload(as_json(our.claims()))
    return our.sealed(".".join(part if isinstance(part, str) else encoded(part) for part in made))


def resigned(our: Issuer, change: Change) -> str:
    """A good token, but for how its signature is written."""
    header, payload, signature = our.token().split(".")
    made = change(decoded(signature))
    return f"{header}.{payload}.{made if isinstance(made, str) else encoded(made)}"


def signed_over(our: Issuer, sign: Callable[[str, str], bytes]) -> str:
    """A good token, but for what its signature is made from."""
    header, payload, _ = our.token().split(".")
    return f"{header}.{payload}.{encoded(sign(header, payload))}"


def without(our: Issuer, segment_number: int) -> list[str]:
    """The segments of a good token but one."""
    segments = our.token().split(".")
    return segments[:segment_number] + segments[segment_number + 1 :]


def ragged(raw: bytes) -> str:
    """A segment of a length that padding would follow; JSON may have a space behind it."""
    return encoded(raw + b" " * (len(raw) % 3 == 0))


def respelled(raw: bytes) -> str:
    """The same bytes in another spelling: the last character's low bits count for nothing."""
    text = ragged(raw)
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]


def padded(raw: bytes) -> str:
    text = ragged(raw)
    return text + "=" * (-len(text) % 4)


def overlong(raw: bytes) -> str:
    """A segment one character longer than a multiple of 4, which base64 cannot be."""
    return encoded(raw + b" " * (-len(raw) % 3)) + "A"


def slashed(raw: bytes) -> str:
    """A segment with + and / in it, as base64 has them and base64url has not."""
    return base64.b64encode(with_member('"x":"~~~???>>>"')(raw)).rstrip(b"=").decode()


def plainly_signed(our: Issuer) -> str:
    """A token whose signature has + or / where it needs - or _; not every signature does."""
    tokens = (our.token(number=number).rpartition(".") for number in count())
    signing_input, dot, signature = next(found for found in tokens if {*"-_"} & {*found[2]})
    return signing_input + dot + signature.replace("-", "+").replace("_", "/")


def with_member(member: str | bytes) -> Callable[[bytes], bytes]:
    """Another member before those of the object."""
    raw = member if isinstance(member, bytes) else member.encode()
    return lambda text: b"{" + raw + b"," + text[1:]


def with_claim(our: Issuer, name: str, value: str) -> str:
    """A token with a claim that Python would not write so."""
    member = with_member(f'"{name}":{value}')
    return our.signed(our.header(), member(as_json(our.claims(**{name: ...}))))


def of_length(our: Issuer, wanted: int) -> str:
    """A good token of exactly that many characters."""
    for header in (our.header(filler="x" * more) for more in range(4)):
        size = (wanted - len(our.signed(header, our.claims(image="")))) * 3 // 4
        for token in (our.signed(header, our.claims(image="x" * (size + more))) for more in range(-2, 3)):
            if len(token) == wanted:
                return token
    raise AssertionError(f"no token has {wanted} characters")


def hs256(our: Issuer, secret: bytes, **header: Any) -> str:
    """By hand, since PyJWT refuses secrets that are public keys."""
    signing_input = f"{segment(our.header(alg='HS256', **header))}.{segment(our.claims())}"
    return f"{signing_input}.{encoded(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def stranger(our: Issuer) -> Issuer:
    """Someone who has all but the key."""
    return replace(our, key=private_key(f"{our.algorithm}-stranger"))


def strangers_jwk(our: Issuer) -> dict[str, Any]:
    key = stranger(our).key
    return jwk_of(key if our.algorithm == "HS256" else key.public_key(), our.algorithm)


def flipped(raw: bytes, at: int) -> bytes:
    """With one bit changed."""
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


# Points of Ed25519 that times eight are nothing: signatures by such a public key need no private one.
_SMALL_ORDER = {
    "order 1": "01" + "00" * 31,
    "order 1, above the field": "ee" + "ff" * 30 + "7f",
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 4, above the field": "ed" + "ff" * 30 + "7f",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "another of order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}
SMALL_ORDER = {name: bytes.fromhex(point) for name, point in _SMALL_ORDER.items()}
SMALL_ORDER |= {f"{name}, with its sign": at[:-1] + bytes([at[-1] | 128]) for name, at in SMALL_ORDER.items()}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 9.2, note 1


def small_order_jwk(name: str) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": name, "x": encoded(SMALL_ORDER[name])}


def small_order_token(name: str) -> str:
    """Without a private key: R = 1, S = 0 is the signature of one in eight messages, at the least."""
    our, signature = Issuer("EdDSA", None, name), b"\1" + bytes(63)
    tokens = (f"{segment(our.header())}.{segment(our.claims(number=number))}" for number in count())
    signed = signature[:32] + SMALL_ORDER[name]
    signing_input = next(token for token in tokens if _multiplier(signed + token.encode()) % 8 == 0)
    return f"{signing_input}.{encoded(signature)}"


def _multiplier(signed: bytes) -> int:
    """Of the public key, in the equation that a signature is verified with (RFC 8032 5.1.7)."""
    return int.from_bytes(hashlib.sha512(signed).digest(), "little") % ED25519_ORDER


def exponent_1_token(kid: str) -> str:
    """Without a private key: to the power of 1, the padded digest is its own signature."""
    our = Issuer("RS256", None, kid)
    signing_input = f"{segment(our.header())}.{segment(our.claims())}"
    info = b"\0" + SHA256_INFO + hashlib.sha256(signing_input.encode()).digest()
    padded_digest = b"\0\1".ljust(256 - len(info), b"\xff") + info
    return f"{signing_input}.{encoded(padded_digest)}"
