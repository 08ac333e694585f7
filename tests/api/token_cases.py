"""Tokens that no server takes, whoever signs for it: each with its reason and how it is made of a good one.

They are the rules of security/tokens.py and RFC 8725, case by case. The signature is right wherever it is
not the reason, so that nothing but the reason can be what refuses them.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Callable

from tests.support.forged_tokens import (
    Change,
    flipped,
    hs256,
    of_length,
    overlong,
    padded,
    plainly_signed,
    resigned,
    respelled,
    signed_over,
    slashed,
    stranger,
    strangers_jwk,
    with_claim,
    with_member,
    without,
    written,
)
from tests.support.token_issuers import Issuer, as_json, encoded, now, segment

Case = Callable[[Issuer], str | bytes]
CEILING_S = 366 * 24 * 3600

FORM: dict[str, Case] = {
    "nothing": lambda our: "",
    "an opaque session token": lambda our: "kBcZ0rUxVqLhYt2sWm9eDf3gHjKl4pQa",
    "one segment": lambda our: segment(our.claims()),
    "two segments without a signature": lambda our: ".".join(without(our, 2)),
    "two segments without a header": lambda our: our.sealed(segment(our.claims())),
    "three empty segments": lambda our: "..",
    "an empty header": lambda our: written(our, header=lambda raw: ""),
    "an empty payload": lambda our: written(our, payload=lambda raw: ""),
    "a payload taken out (RFC 7515 F)": lambda our: "..".join(without(our, 1)),
    "an empty signature": lambda our: ".".join(without(our, 2)) + ".",
    "four segments": lambda our: our.token() + ".AAAA",
    "four segments, all of them signed": lambda our: our.sealed(our.token()),
    "a dot behind": lambda our: our.token() + ".",
    "a dot before": lambda our: "." + our.token(),
    "five segments, as an encrypted token": lambda our: our.headed(enc="A256GCM") + ".AAAA.AAAA",
    "six segments": lambda our: our.token() + "." + our.token(),
    "the JSON serialisation": lambda our: as_json(
        dict(zip(("protected", "payload", "signature"), our.token().split("."), strict=True))
    ),
    "the header padded": lambda our: written(our, header=padded),
    "the payload padded": lambda our: written(our, payload=padded),
    "the signature padded": lambda our: resigned(our, padded),
    "the header in another spelling": lambda our: written(our, header=respelled),
    "the payload in another spelling": lambda our: written(our, payload=respelled),
    "the signature in another spelling": lambda our: resigned(our, respelled),
    "the header with a character too many": lambda our: written(our, header=overlong),
    "the payload with a character too many": lambda our: written(our, payload=overlong),
    "the header in the alphabet with slashes": lambda our: written(our, header=slashed),
    "the payload in the alphabet with slashes": lambda our: written(our, payload=slashed),
    "the signature in the alphabet with slashes": plainly_signed,
    "a space in it": lambda our: our.token().replace(".", " .", 1),
    "a tab in it": lambda our: resigned(our, lambda raw: encoded(raw[:9]) + "\t" + encoded(raw[9:])),
    "a second token behind a space": lambda our: our.token() + " " + our.token(),
    "a second token behind a comma": lambda our: our.token() + "," + our.token(),
    "the scheme twice": lambda our: "Bearer " + our.token(),
    "in quotes": lambda our: f'"{our.token()}"',
    "percent-encoded": lambda our: our.token().replace(".", "%2E"),
    "in upper case": lambda our: our.token().upper(),
    "in lower case": lambda our: our.token().lower(),
    "a letter behind that is not ASCII": lambda our: our.token().encode() + b"\xc3\xa9",
    "a no-break space behind": lambda our: our.token().encode() + b"\xa0",
    "a byte more than 16 KiB": lambda our: of_length(our, 16 * 1024 + 1),
}

# What is no strict JSON object, as the header and as the payload.
MANGLED: dict[str, Change] = {
    "in UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "in UTF-32": lambda raw: raw.decode().encode("utf-32"),
    "behind a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "with a byte that is not UTF-8": with_member(b'"x":"\xff"'),
    "with an overlong NUL": with_member(b'"x":"\xc0\x80"'),
    "with a lone surrogate": with_member(r'"x":"\ud800"'),
    "with NUL": with_member(r'"x":"\u0000"'),
    "with a bare line end in a string": with_member('"x":"\n"'),
    "with NaN": with_member('"x":NaN'),
    "with minus infinity": with_member('"x":-Infinity'),
    "with a number beyond every double": with_member('"x":1e999'),
    "with 5000 digits": with_member('"x":' + "9" * 5000),
    "with a leading zero": with_member('"x":07'),
    "with a member twice": with_member('"x":1,"x":1'),
    "with a member twice, once escaped": with_member(r'"x":1,"\u0078":1'),
    "with a member twice, further down": with_member('"x":[{"y":1,"y":2}]'),
    "33 deep": with_member('"x":' + "[" * 32 + "]" * 32),
    "3000 deep": with_member('"x":' + '{"":' * 3000 + "1" + "}" * 3000),
    "without an end": lambda raw: raw[:-1],
    "with a letter behind": lambda raw: raw + b"x",
    "with an object behind": lambda raw: raw + b"{}",
    "with a comment": lambda raw: raw + b"/* ours */",
    "with a comma at the end": lambda raw: raw[:-1] + b",}",
    "in base64 once more": lambda raw: encoded(raw).encode(),
    "as a string": lambda raw: as_json(raw.decode()),
    "in an array": lambda raw: b"[" + raw + b"]",
    "as pairs": lambda raw: as_json([*json.loads(raw).items()]),
    "null": lambda raw: b"null",
    "a number": lambda raw: b"7",
    "empty": lambda raw: b"{}",
}

HEADER: dict[str, Case] = {
    "alg none": lambda our: our.headed(alg="none"),
    "alg none without a signature": lambda our: our.headed(alg="none").rpartition(".")[0] + ".",
    "alg nOnE": lambda our: our.headed(alg="nOnE"),
    "alg missing": lambda our: our.headed(alg=...),
    "alg empty": lambda our: our.headed(alg=""),
    "alg null": lambda our: our.headed(alg=None),
    "alg an array": lambda our: our.headed(alg=[our.algorithm]),
    "alg an object": lambda our: our.headed(alg={our.algorithm: 1}),
    "alg in lower case": lambda our: our.headed(alg=our.algorithm.lower()),
    "alg and a space": lambda our: our.headed(alg=our.algorithm + " "),
    "alg with a fullwidth letter": lambda our: our.headed(alg=our.algorithm.replace("S", "\uff33")),
    "alg and none": lambda our: our.headed(alg=f"{our.algorithm},none"),
    "alg none, then alg": lambda our: written(our, header=with_member('"alg":"none"')),
    "alg, then alg none": lambda our: written(our, header=lambda raw: raw[:-1] + b',"alg":"none"}'),
    "alg HS512": lambda our: our.headed(alg="HS512"),
    "alg RS384": lambda our: our.headed(alg="RS384"),
    "alg ES256K": lambda our: our.headed(alg="ES256K"),
    "alg Ed448": lambda our: our.headed(alg="Ed448"),
    "alg of another kind of key": lambda our: our.headed(
        alg="ES256" if our.algorithm == "EdDSA" else "EdDSA"
    ),
    "typ null": lambda our: our.headed(typ=None),
    "typ empty": lambda our: our.headed(typ=""),
    "typ an array": lambda our: our.headed(typ=["JWT"]),
    "typ an object": lambda our: our.headed(typ={}),
    "typ JWT and a space": lambda our: our.headed(typ="JWT "),
    "typ JOSE": lambda our: our.headed(typ="JOSE"),
    "typ of the session cache": lambda our: our.headed(typ="better-auth.session-cache+jwt"),
    "typ of a logout": lambda our: our.headed(typ="logout+jwt"),
    "kid of 256 characters": lambda our: our.headed(kid="x" * 256),
    "kid null": lambda our: our.headed(kid=None),
    "kid a number": lambda our: our.headed(kid=7),
    "kid an array": lambda our: our.headed(kid=[our.kid]),
    "kid an object": lambda our: our.headed(kid={}),
    "crit": lambda our: our.headed(crit=["exp"], exp=now() + 600),
    "crit of nothing": lambda our: our.headed(crit=[]),
    "b64 true": lambda our: our.headed(b64=True),
    "b64 false": lambda our: our.headed(b64=False),
    "b64 false, and a bare payload (RFC 7797)": lambda our: our.sealed(
        segment(our.header(b64=False, crit=["b64"])) + "." + as_json(our.claims()).decode()
    ),
    "zip": lambda our: our.headed(zip="DEF"),
    "zip, and a compressed payload": lambda our: our.signed(
        our.header(zip="DEF"), zlib.compress(as_json(our.claims()))[2:-4]
    ),
    "zip null": lambda our: our.headed(zip=None),
    "jwk": lambda our: our.headed(jwk=strangers_jwk(our)),
    "jku": lambda our: our.headed(jku="https://example.com/jwks"),
    "x5u": lambda our: our.headed(x5u="https://example.com/cert.pem"),
    "x5c": lambda our: our.headed(x5c=["MIIB"]),
    "the claims in the header alone": lambda our: our.signed(our.header(**our.claims()), {}),
}

CLAIMS: dict[str, Case] = {
    "exp missing": lambda our: our.token(exp=...),
    "exp null": lambda our: our.token(exp=None),
    "exp true": lambda our: our.token(exp=True),
    "exp a string": lambda our: our.token(exp=str(now() + 600)),
    "exp an array": lambda our: our.token(exp=[now() + 600]),
    "exp an object": lambda our: our.token(exp={"$gt": 0}),
    "exp 0": lambda our: our.token(exp=0),
    "exp minus 0": lambda our: with_claim(our, "exp", "-0"),
    "exp negative": lambda our: our.token(exp=-now()),
    "exp infinite": lambda our: with_claim(our, "exp", "Infinity"),
    "exp beyond every double": lambda our: with_claim(our, "exp", "1e999"),
    "exp 1e30": lambda our: our.token(exp=1e30),
    "exp of 39 digits": lambda our: our.token(exp=10**38),
    "exp in milliseconds": lambda our: our.token(exp=(now() + 600) * 1000),
    "exp and iat in milliseconds": lambda our: our.token(exp=(now() + 600) * 1000, iat=now() * 1000),
    "exp 31 s ago, beyond the leeway": lambda our: our.token(exp=now() - 31),
    "exp 30.5 s ago, beyond the leeway": lambda our: our.token(exp=time.time() - 30.5),
    "exp a minute beyond the ceiling": lambda our: our.token(exp=now() + CEILING_S + 60),
    "exp a minute beyond the ceiling, no iat": lambda our: our.token(exp=now() + CEILING_S + 60, iat=...),
    "exp twice": lambda our: written(our, payload=with_member('"exp":1')),
    "iat 0, and so beyond the ceiling": lambda our: our.token(iat=0),
    "iat null": lambda our: our.token(iat=None),
    "iat true": lambda our: our.token(iat=True),
    "iat a string": lambda our: our.token(iat=str(now())),
    "iat an array": lambda our: our.token(iat=[now()]),
    "iat beyond every double": lambda our: with_claim(our, "iat", "1e999"),
    "iat 1e30": lambda our: our.token(iat=1e30),
    "iat ahead, beyond the leeway": lambda our: our.token(iat=now() + 60),
    "iat and exp a day ahead": lambda our: our.token(iat=now() + 86_400, exp=now() + 90_000),
    "nbf null": lambda our: our.token(nbf=None),
    "nbf true": lambda our: our.token(nbf=True),
    "nbf a string": lambda our: our.token(nbf=str(now())),
    "nbf an object": lambda our: our.token(nbf={}),
    "nbf beyond every double": lambda our: with_claim(our, "nbf", "1e999"),
    "nbf ahead, beyond the leeway": lambda our: our.token(nbf=now() + 60),
    "sub missing": lambda our: our.token(sub=...),
    "sub null": lambda our: our.token(sub=None),
    "sub a number": lambda our: our.token(sub=7),
    "sub an array": lambda our: our.token(sub=["ada"]),
    "sub an object": lambda our: our.token(sub={"id": "ada"}),
    "sub empty": lambda our: our.token(sub=""),
    "sub with NUL": lambda our: our.token(sub="ada\0"),
    "sub with a line end": lambda our: our.token(sub="ada\n"),
    "sub with a space": lambda our: our.token(sub="ada "),
    "sub with a slash": lambda our: our.token(sub="ada/tasks"),
    "sub percent-encoded": lambda our: our.token(sub="%61da"),
    "sub with a quote": lambda our: our.token(sub="ada'--"),
    "sub with a leading dot": lambda our: our.token(sub=".ada"),
    "sub two dots": lambda our: our.token(sub=".."),
    "sub in another alphabet's letters": lambda our: our.token(sub="\u0430da"),
    "sub with another alphabet's digit": lambda our: our.token(sub="ada\u0663"),
    "sub of 129 characters": lambda our: our.token(sub="a" * 129),
    "sub bob, then ada": lambda our: written(our, payload=with_member('"sub":"bob"')),
    "sub twice the same, once escaped": lambda our: written(our, payload=with_member(r'"s\u0075b":"ada"')),
    "jti a number": lambda our: our.token(jti=7),
}

SIGNATURE: dict[str, Case] = {
    "a bit flipped at its start": lambda our: resigned(our, lambda raw: flipped(raw, 0)),
    "a bit flipped in its middle": lambda our: resigned(our, lambda raw: flipped(raw, len(raw) // 2)),
    "a bit flipped at its end": lambda our: resigned(our, lambda raw: flipped(raw, -1)),
    "short of a byte at its end": lambda our: resigned(our, lambda raw: raw[:-1]),
    "longer by a byte at its end": lambda our: resigned(our, lambda raw: raw + b"\0"),
    "longer by a byte at its start": lambda our: resigned(our, lambda raw: b"\0" + raw),
    "half of it": lambda our: resigned(our, lambda raw: raw[: len(raw) // 2]),
    "backwards": lambda our: resigned(our, lambda raw: raw[::-1]),
    "all zeros": lambda our: resigned(our, lambda raw: bytes(len(raw))),
    "a digest": lambda our: signed_over(
        our, lambda *parts: hashlib.sha256(".".join(parts).encode()).digest()
    ),
    "of the header alone": lambda our: signed_over(our, lambda header, payload: our.signature(header)),
    "of the payload alone": lambda our: signed_over(our, lambda header, payload: our.signature(payload)),
    "of both without the dot": lambda our: signed_over(our, lambda *parts: our.signature("".join(parts))),
    "of nothing": lambda our: signed_over(our, lambda *parts: our.signature("")),
    "of bob's token": lambda our: ".".join([*without(our, 2), our.token(sub="bob").rpartition(".")[2]]),
    "of another header": lambda our: ".".join([*without(our, 2), our.headed(typ="JWT").rpartition(".")[2]]),
    "by another key": lambda our: stranger(our).token(),
    "by a key that the header brings": lambda our: stranger(our).headed(jwk=strangers_jwk(our)),
    "by a key that the payload brings": lambda our: stranger(our).token(cnf={"jwk": strangers_jwk(our)}),
    "HS256 with an empty secret": lambda our: hs256(our, b""),
    "HS256 with the origin": lambda our: hs256(our, (our.origin or "null").encode()),
    "HS256 with what a kid names": lambda our: hs256(our, b"", kid="../../../dev/null"),
}

REFUSED: dict[str, Case] = {
    **FORM,
    **{
        f"the header {how}": lambda our, change=change: written(our, header=change)
        for how, change in MANGLED.items()
    },
    **{
        f"the payload {how}": lambda our, change=change: written(our, payload=change)
        for how, change in MANGLED.items()
    },
    **HEADER,
    **CLAIMS,
    **{f"the signature, {how}": case for how, case in SIGNATURE.items()},
}
