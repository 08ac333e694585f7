"""Tokens that every issuer's server must reject: the reason, and how to make the token from a valid one.

The signature is right unless it is the reason itself, so that only the reason can cause the rejection. The
rules are those of security/tokens.py and RFC 8725.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

from tests.support.forged_tokens import (
    Change,
    change_signature,
    flip_bit,
    hs256,
    impostor,
    impostor_jwk,
    lengthen,
    of_length,
    pad,
    respell,
    segments_without,
    sign_other_input,
    signature_with_slashes,
    with_claim,
    with_member,
    with_slashes,
    write,
)
from tests.support.token_issuers import Issuer, as_json, encode, now, segment

Case = Callable[[Issuer], str | bytes]
CEILING_S = 366 * 24 * 3600

FORM: dict[str, Case] = {
    "nothing": lambda issuer: "",
    "an opaque session token": lambda issuer: "kBcZ0rUxVqLhYt2sWm9eDf3gHjKl4pQa",
    "one segment": lambda issuer: segment(issuer.claims()),
    "two segments without a signature": lambda issuer: ".".join(segments_without(issuer, 2)),
    "two segments without a header": lambda issuer: issuer.append_signature(segment(issuer.claims())),
    "three empty segments": lambda issuer: "..",
    "an empty header": lambda issuer: write(issuer, header=lambda raw: ""),
    "an empty payload": lambda issuer: write(issuer, payload=lambda raw: ""),
    "a payload taken out (RFC 7515 F)": lambda issuer: "..".join(segments_without(issuer, 1)),
    "an empty signature": lambda issuer: ".".join(segments_without(issuer, 2)) + ".",
    "four segments": lambda issuer: issuer.token() + ".AAAA",
    "four segments, all of them signed": lambda issuer: issuer.append_signature(issuer.token()),
    "a dot behind": lambda issuer: issuer.token() + ".",
    "a dot before": lambda issuer: "." + issuer.token(),
    "five segments, as an encrypted token": lambda issuer: issuer.with_header(enc="A256GCM") + ".AAAA.AAAA",
    "six segments": lambda issuer: issuer.token() + "." + issuer.token(),
    "the JSON serialisation": lambda issuer: as_json(
        dict(zip(("protected", "payload", "signature"), issuer.token().split("."), strict=True))
    ),
    "the header padded": lambda issuer: write(issuer, header=pad),
    "the payload padded": lambda issuer: write(issuer, payload=pad),
    "the signature padded": lambda issuer: change_signature(issuer, pad),
    "the header in another spelling": lambda issuer: write(issuer, header=respell),
    "the payload in another spelling": lambda issuer: write(issuer, payload=respell),
    "the signature in another spelling": lambda issuer: change_signature(issuer, respell),
    "the header with a character too many": lambda issuer: write(issuer, header=lengthen),
    "the payload with a character too many": lambda issuer: write(issuer, payload=lengthen),
    "the header in the alphabet with slashes": lambda issuer: write(issuer, header=with_slashes),
    "the payload in the alphabet with slashes": lambda issuer: write(issuer, payload=with_slashes),
    "the signature in the alphabet with slashes": signature_with_slashes,
    "a space in it": lambda issuer: issuer.token().replace(".", " .", 1),
    "a tab in it": lambda issuer: change_signature(
        issuer, lambda raw: encode(raw[:9]) + "\t" + encode(raw[9:])
    ),
    "a second token behind a space": lambda issuer: issuer.token() + " " + issuer.token(),
    "a second token behind a comma": lambda issuer: issuer.token() + "," + issuer.token(),
    "the scheme twice": lambda issuer: "Bearer " + issuer.token(),
    "in quotes": lambda issuer: f'"{issuer.token()}"',
    "percent-encode": lambda issuer: issuer.token().replace(".", "%2E"),
    "in upper case": lambda issuer: issuer.token().upper(),
    "in lower case": lambda issuer: issuer.token().lower(),
    "a letter behind that is not ASCII": lambda issuer: issuer.token().encode() + b"\xc3\xa9",
    "a no-break space behind": lambda issuer: issuer.token().encode() + b"\xa0",
    "a byte more than 16 KiB": lambda issuer: of_length(issuer, 16 * 1024 + 1),
}

# Changes that leave no strict JSON object, made to the header and to the payload.
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
    "in base64 once more": lambda raw: encode(raw).encode(),
    "as a string": lambda raw: as_json(raw.decode()),
    "in an array": lambda raw: b"[" + raw + b"]",
    "as pairs": lambda raw: as_json([*json.loads(raw).items()]),
    "null": lambda raw: b"null",
    "a number": lambda raw: b"7",
    "empty": lambda raw: b"{}",
}

# Header members and claims with a constant value that is wrong for every issuer; `...` stands for none.
WRONG_MEMBERS: dict[str, list[Any]] = {
    "alg": [..., "", None, "none", "nOnE", "HS512", "RS384", "ES256K", "Ed448"],
    "typ": [None, "", ["JWT"], {}, "JWT ", "JOSE", "better-auth.session-cache+jwt", "logout+jwt"],
    "kid": [None, 7, {}, "x" * 256],
    "crit": [[]],
    "b64": [True, False],
    "zip": ["DEF", None],
    "jku": ["https://example.com/jwks"],
    "x5u": ["https://example.com/cert.pem"],
    "x5c": [["MIIB"]],
}
WRONG_CLAIMS: dict[str, list[Any]] = {
    "exp": [..., None, True, {"$gt": 0}, 0, 1e30, 10**38],
    "iat": [0, None, True, 1e30],  # 0 puts exp beyond the ceiling
    "nbf": [None, True, {}],
    "sub": [
        ..., None, 7, ["ada"], {"id": "ada"}, "", "ada\0", "ada\n", "ada ", "ada/tasks", "%61da", "ada'--",
        ".ada", "..", "\u0430da", "ada\u0663", "a" * 129,
    ],
    "jti": [7],
}  # fmt: skip

HEADER: dict[str, Case] = {
    **{
        f"{name} {value!r:.40}": lambda issuer, name=name, value=value: issuer.with_header(**{name: value})
        for name, values in WRONG_MEMBERS.items()
        for value in values
    },
    "alg none without a signature": lambda issuer: issuer.with_header(alg="none").rpartition(".")[0] + ".",
    "alg an array": lambda issuer: issuer.with_header(alg=[issuer.algorithm]),
    "alg an object": lambda issuer: issuer.with_header(alg={issuer.algorithm: 1}),
    "alg in lower case": lambda issuer: issuer.with_header(alg=issuer.algorithm.lower()),
    "alg and a space": lambda issuer: issuer.with_header(alg=issuer.algorithm + " "),
    "alg with a fullwidth letter": lambda issuer: issuer.with_header(
        alg=issuer.algorithm.replace("S", "\uff33")
    ),
    "alg and none": lambda issuer: issuer.with_header(alg=f"{issuer.algorithm},none"),
    "alg none, then alg": lambda issuer: write(issuer, header=with_member('"alg":"none"')),
    "alg, then alg none": lambda issuer: write(issuer, header=lambda raw: raw[:-1] + b',"alg":"none"}'),
    "alg of another kind of key": lambda issuer: issuer.with_header(
        alg="ES256" if issuer.algorithm == "EdDSA" else "EdDSA"
    ),
    "kid an array": lambda issuer: issuer.with_header(kid=[issuer.kid]),
    "crit": lambda issuer: issuer.with_header(crit=["exp"], exp=now() + 600),
    "b64 false, and a bare payload (RFC 7797)": lambda issuer: issuer.append_signature(
        segment(issuer.header(b64=False, crit=["b64"])) + "." + as_json(issuer.claims()).decode()
    ),
    "zip, and a compressed payload": lambda issuer: issuer.sign(
        issuer.header(zip="DEF"), zlib.compress(as_json(issuer.claims()))[2:-4]
    ),
    "jwk": lambda issuer: issuer.with_header(jwk=impostor_jwk(issuer)),
    "a header longer than 1 KiB": lambda issuer: issuer.with_header(nonce="x" * 800),
    "the claims in the header alone": lambda issuer: issuer.sign(issuer.header(**issuer.claims()), {}),
}

CLAIMS: dict[str, Case] = {
    **{
        f"{name} {value!r:.40}": lambda issuer, name=name, value=value: issuer.token(**{name: value})
        for name, values in WRONG_CLAIMS.items()
        for value in values
    },
    **{
        f"{name} {value}": lambda issuer, name=name, value=value: with_claim(issuer, name, value)
        for name, value in (
            ("exp", "-0"),
            ("exp", "Infinity"),
            *((n, "1e999") for n in ("exp", "iat", "nbf")),
        )
    },
    "exp a string": lambda issuer: issuer.token(exp=str(now() + 600)),
    "exp an array": lambda issuer: issuer.token(exp=[now() + 600]),
    "exp negative": lambda issuer: issuer.token(exp=-now()),
    "exp in milliseconds": lambda issuer: issuer.token(exp=(now() + 600) * 1000),
    "exp and iat in milliseconds": lambda issuer: issuer.token(exp=(now() + 600) * 1000, iat=now() * 1000),
    "exp 31 s ago, beyond the leeway": lambda issuer: issuer.token(exp=now() - 31),
    "exp 30.5 s ago, beyond the leeway": lambda issuer: issuer.token(exp=time.time() - 30.5),
    "exp a minute beyond the ceiling": lambda issuer: issuer.token(exp=now() + CEILING_S + 60),
    "exp beyond the ceiling, no iat": lambda issuer: issuer.token(exp=now() + CEILING_S + 60, iat=...),
    "exp twice": lambda issuer: write(issuer, payload=with_member('"exp":1')),
    "iat a string": lambda issuer: issuer.token(iat=str(now())),
    "iat an array": lambda issuer: issuer.token(iat=[now()]),
    "iat ahead, beyond the leeway": lambda issuer: issuer.token(iat=now() + 60),
    "iat and exp a day ahead": lambda issuer: issuer.token(iat=now() + 86_400, exp=now() + 90_000),
    "nbf a string": lambda issuer: issuer.token(nbf=str(now())),
    "nbf ahead, beyond the leeway": lambda issuer: issuer.token(nbf=now() + 60),
    "sub bob, then ada": lambda issuer: write(issuer, payload=with_member('"sub":"bob"')),
    "sub twice, once escaped": lambda issuer: write(issuer, payload=with_member(r'"s\u0075b":"ada"')),
}

SIGNATURE: dict[str, Case] = {
    "a bit flipped at its start": lambda issuer: change_signature(issuer, lambda raw: flip_bit(raw, 0)),
    "a bit flipped in its middle": lambda issuer: change_signature(
        issuer, lambda raw: flip_bit(raw, len(raw) // 2)
    ),
    "a bit flipped at its end": lambda issuer: change_signature(issuer, lambda raw: flip_bit(raw, -1)),
    "short of a byte at its end": lambda issuer: change_signature(issuer, lambda raw: raw[:-1]),
    "longer by a byte at its end": lambda issuer: change_signature(issuer, lambda raw: raw + b"\0"),
    "longer by a byte at its start": lambda issuer: change_signature(issuer, lambda raw: b"\0" + raw),
    "half of it": lambda issuer: change_signature(issuer, lambda raw: raw[: len(raw) // 2]),
    "backwards": lambda issuer: change_signature(issuer, lambda raw: raw[::-1]),
    "all zeros": lambda issuer: change_signature(issuer, lambda raw: bytes(len(raw))),
    "a digest": lambda issuer: sign_other_input(
        issuer, lambda *parts: hashlib.sha256(".".join(parts).encode()).digest()
    ),
    "of the header alone": lambda issuer: sign_other_input(
        issuer, lambda header, payload: issuer.signature(header)
    ),
    "of the payload alone": lambda issuer: sign_other_input(
        issuer, lambda header, payload: issuer.signature(payload)
    ),
    "of both without the dot": lambda issuer: sign_other_input(
        issuer, lambda *parts: issuer.signature("".join(parts))
    ),
    "of nothing": lambda issuer: sign_other_input(issuer, lambda *parts: issuer.signature("")),
    "of bob's token": lambda issuer: ".".join(
        [*segments_without(issuer, 2), issuer.token(sub="bob").rpartition(".")[2]]
    ),
    "of another header": lambda issuer: ".".join(
        [*segments_without(issuer, 2), issuer.with_header(typ="JWT").rpartition(".")[2]]
    ),
    "by another key": lambda issuer: impostor(issuer).token(),
    "by a key that the header brings": lambda issuer: impostor(issuer).with_header(jwk=impostor_jwk(issuer)),
    "by a key that the payload brings": lambda issuer: impostor(issuer).token(
        cnf={"jwk": impostor_jwk(issuer)}
    ),
    "HS256 with an empty secret": lambda issuer: hs256(issuer, b""),
    "HS256 with the origin": lambda issuer: hs256(issuer, (issuer.origin or "null").encode()),
    "HS256 with what a kid names": lambda issuer: hs256(issuer, b"", kid="../../../dev/null"),
}

REJECTED: dict[str, Case] = {
    **FORM,
    **{
        f"the header {how}": lambda issuer, change=change: write(issuer, header=change)
        for how, change in MANGLED.items()
    },
    **{
        f"the payload {how}": lambda issuer, change=change: write(issuer, payload=change)
        for how, change in MANGLED.items()
    },
    **HEADER,
    **CLAIMS,
    **{f"the signature, {how}": case for how, case in SIGNATURE.items()},
}

ACCEPTED: dict[str, Case] = {
    "no typ": lambda issuer: issuer.token(),
    "typ JWT": lambda issuer: issuer.with_header(typ="JWT"),
    "typ at+jwt": lambda issuer: issuer.with_header(typ="at+jwt"),
    "typ jwt": lambda issuer: issuer.with_header(typ="jwt"),
    "typ AT+JWT": lambda issuer: issuer.with_header(typ="AT+JWT"),
    "unknown header members": lambda issuer: issuer.with_header(nonce="x", **{"urn:x": [{"y": 1}]}),
    "the header's members in reverse order": lambda issuer: issuer.sign(
        dict(reversed(issuer.header().items())), issuer.claims()
    ),
    "the header on several lines": lambda issuer: issuer.sign(
        json.dumps(issuer.header(), indent=2).encode() + b"\r\n", issuer.claims()
    ),
    "exp 25 s ago, within the leeway": lambda issuer: issuer.token(exp=now() - 25),
    "iat 25 s ahead, within the leeway": lambda issuer: issuer.token(iat=now() + 25),
    "nbf 25 s ahead, within the leeway": lambda issuer: issuer.token(nbf=now() + 25),
    "nbf past": lambda issuer: issuer.token(nbf=now() - 3600),
    "no iat": lambda issuer: issuer.token(iat=...),
    "times with fractions": lambda issuer: issuer.token(exp=time.time() + 600.5, iat=time.time() - 0.5),
    "exp with an exponent": lambda issuer: with_claim(issuer, "exp", f"{(now() + 600) / 1e9}e9"),
    "exp at the ceiling": lambda issuer: issuer.token(exp=now() + CEILING_S, iat=now()),
    "exp half a year ahead, no iat": lambda issuer: issuer.token(exp=now() + CEILING_S // 2, iat=...),
    "an unknown claim": lambda issuer: issuer.token(**{"https://example.com/roles": [{"name": "admin"}]}),
    "a claim as deep as JSON may be": lambda issuer: with_claim(issuer, "deep", "[" * 31 + "]" * 31),
    "a name twice, in different objects": lambda issuer: issuer.token(x={"sub": "bob", "y": {"sub": "eve"}}),
    "escaped letters": lambda issuer: issuer.token(name="Ada Lovelac\xe9 \U0001f469\u200d\U0001f4bb"),
    "letters in UTF-8": lambda issuer: with_claim(issuer, "name", '"Zoë 李 \U0001f469\u200d\U0001f4bb"'),
    "16 KiB": lambda issuer: of_length(issuer, 16 * 1024),
    "an audience in a list": lambda issuer: issuer.token(aud=[issuer.origin or "y"]),
    "an audience after another": lambda issuer: issuer.token(aud=["https://x.example", issuer.origin or "y"]),
    "an audience after 100 others": lambda issuer: issuer.token(aud=["x"] * 100 + [issuer.origin or "y"]),
    # In the claims' order and spacing of the jose package, which signs in a Next.js route.
    "a token made by jose": lambda issuer: issuer.sign(
        as_json({**issuer.header(), "typ": "JWT"}),
        json.dumps(issuer.claims(name="Ada Lovelacé"), separators=(",", ":"), ensure_ascii=False).encode(),
    ),
}
