"""An id in a path has one reading: another spelling of it is the same id, or nobody's."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.support.ownership_matrix import Reading, Trick, Wall
from tests.support.places import ON_A_TASK, OPERATIONS

PLAIN, SOMEONE, NO_TASK, NOWHERE, UNREADABLE = (
    Reading.PLAIN, Reading.SOMEONE, Reading.NO_TASK, Reading.NOWHERE, Reading.UNREADABLE
)  # fmt: skip


def encoded(text: str, *, upper: bool = False) -> str:
    """Every byte of it as %xx, which no client does."""
    spelled = "".join(f"%{byte:02x}" for byte in text.encode())
    return spelled.upper() if upper else spelled


CYRILLIC = str.maketrans("ao", "\u0430\u043e")


def look_alike(letter: str, other: str) -> Callable[[str, str], str]:
    """The user id with `other` for `letter`."""
    return lambda user, _: quote(user.replace(letter, other))


# What stands for the user id of the path; `o` is the other's.
USER_IDS: dict[str, tuple[Callable[[str, str], str], Reading]] = {
    # Decoded once, these are the very same id (RFC 3986 6.2.2.2), so they are served.
    "its first letter encoded": (lambda u, _: encoded(u[0]) + u[1:], PLAIN),
    "all of it encoded": (lambda u, _: encoded(u), PLAIN),
    "all of it encoded in capitals": (lambda u, _: encoded(u, upper=True), PLAIN),
    # Decoded once more than it should be, or more leniently, these would be the same id.
    "encoded twice": (lambda u, _: quote(encoded(u)), SOMEONE),
    "encoded three times": (lambda u, _: quote(quote(encoded(u))), SOMEONE),
    "encoded as %u": (lambda u, _: f"%u{ord(u[0]):04x}{u[1:]}", SOMEONE),
    "encoded as overlong UTF-8": (lambda u, _: f"%c1%{ord(u[0]) + 0x40:02x}{u[1:]}", SOMEONE),
    "a bare percent sign behind it": (lambda u, _: f"{u}%", SOMEONE),
    "an HTML entity": (lambda u, _: f"&%23{ord(u[0])};{u[1:]}", SOMEONE),
    "a backslash escape": (lambda u, _: f"\\x{ord(u[0]):02x}{u[1:]}", SOMEONE),
    # Folded in case or normalized (NFKC), these would be the same id.
    "capitals": (lambda u, _: u.upper(), SOMEONE),
    "one capital": (lambda u, _: u.capitalize(), SOMEONE),
    "a full-width letter": (lambda u, _: quote(chr(ord(u[0]) + 0xFEE0)) + u[1:], SOMEONE),
    "the Kelvin sign for k": (look_alike("k", "\u212a"), SOMEONE),
    "dotless i for i": (look_alike("i", "\u0131"), SOMEONE),
    "capital I with a dot for i": (look_alike("i", "\u0130"), SOMEONE),
    "long s for s": (look_alike("s", "\u017f"), SOMEONE),
    "Cyrillic letters for a and o": (lambda u, _: quote(u.translate(CYRILLIC)), SOMEONE),
    "a hyphen of another kind": (look_alike("-", "\u2010"), SOMEONE),
    "a combining accent": (lambda u, _: f"{u}%cc%81", SOMEONE),
    # Stripped of what does not show, these would be the same id.
    "a zero-width joiner": (lambda u, _: f"{u}%e2%80%8d", SOMEONE),
    "a soft hyphen": (lambda u, _: f"{u}%c2%ad", SOMEONE),
    "a byte order mark": (lambda u, _: f"%ef%bb%bf{u}", SOMEONE),
    "a mark of direction": (lambda u, _: f"%e2%80%8f{u}", SOMEONE),
    "a space behind it": (lambda u, _: f"{u}%20", SOMEONE),
    "a space before it": (lambda u, _: f"%20{u}", SOMEONE),
    "a plus behind it": (lambda u, _: f"{u}+", SOMEONE),
    "a no-break space behind it": (lambda u, _: f"{u}%c2%a0", SOMEONE),
    "a dot behind it": (lambda u, _: f"{u}.", SOMEONE),
    "a tab behind it": (lambda u, _: f"{u}%09", NOWHERE),
    "a line end behind it": (lambda u, _: f"{u}%0a", NOWHERE),
    "a header behind it": (lambda u, o: f"{u}%0d%0aX-User-Id:%20{o}", NOWHERE),
    "DEL behind it": (lambda u, _: f"{u}%7f", NOWHERE),
    "a C1 control behind it": (lambda u, _: f"{u}%c2%85", NOWHERE),
    # Cut short, these would be one of the two ids, and the rest something else.
    "NUL and the other's": (lambda u, o: f"{u}%00{o}", NOWHERE),
    "overlong NUL and the other's": (lambda u, o: f"{u}%c0%80{o}", SOMEONE),
    "a matrix parameter": (lambda u, _: f"{u};a=b", SOMEONE),
    "the other's as a matrix parameter": (lambda u, o: f"{u};user_id={o}", SOMEONE),
    "a matrix parameter alone": (lambda u, _: f";user_id={u}", SOMEONE),
    "an encoded question mark": (lambda u, _: f"{u}%3f", SOMEONE),
    "the other's in an encoded query": (lambda u, o: f"{u}%3fuser_id={o}", SOMEONE),
    "an encoded fragment": (lambda u, o: f"{u}%23{o}", SOMEONE),
    "two with a comma": (lambda u, o: f"{u},{o}", SOMEONE),
    "two with a bar": (lambda u, o: f"{u}|{o}", SOMEONE),
    "two with an at sign": (lambda u, o: f"{u}@{o}", SOMEONE),
    "two with a colon": (lambda u, o: f"{u}:{o}", SOMEONE),
    "an array": (lambda u, o: f"[{u},{o}]", SOMEONE),
    # Split or joined by a proxy or a file system, these would be another path.
    "an encoded slash": (lambda u, o: f"{o}%2f..%2f{u}", NOWHERE),
    "an encoded slash in capitals": (lambda u, o: f"{o}%2F%2E%2E%2F{u}", NOWHERE),
    "an encoded slash behind it": (lambda u, _: f"{u}%2f", NOWHERE),
    "a slash encoded twice": (lambda u, o: f"{o}%252f..%252f{u}", SOMEONE),
    "an overlong slash": (lambda u, o: f"{o}%c0%af..%c0%af{u}", SOMEONE),
    "a full-width slash": (lambda u, o: f"{o}%ef%bc%8f..%ef%bc%8f{u}", SOMEONE),
    "an encoded backslash": (lambda u, o: f"{o}%5c..%5c{u}", SOMEONE),
    "a backslash": (lambda u, o: f"{o}\\..\\{u}", SOMEONE),
    "a dot": (lambda *_: ".", SOMEONE),
    "two dots": (lambda *_: "..", SOMEONE),
    "two encoded dots": (lambda *_: "%2e%2e", SOMEONE),
    # Read as a pattern or as SQL, these would be anyone's.
    "an asterisk": (lambda *_: "*", SOMEONE),
    "a percent sign, as LIKE has it": (lambda u, _: f"{u[0]}%25", SOMEONE),
    "underscores, as LIKE has them": (lambda u, _: "_" * len(u), SOMEONE),
    "a quote and more SQL": (lambda u, o: f"{u}'%20or%20user_id='{o}", SOMEONE),
    "a placeholder": (lambda *_: "{user_id}", SOMEONE),
    "me": (lambda *_: "me", SOMEONE),
    "nothing": (lambda *_: "", NOWHERE),
    # These are no request line (RFC 9112 3).
    "raw UTF-8": (lambda u, _: f"{u}\xc3\xa9", UNREADABLE),
    "a raw NUL": (lambda u, _: f"{u}\0", UNREADABLE),
    "a raw space": (lambda u, _: f"{u} ", UNREADABLE),
    "a raw tab": (lambda u, _: f"{u}\t", UNREADABLE),
}

# What stands for the task's id in the path.
TASK_IDS: dict[str, tuple[Callable[[int], str], Reading]] = {
    "encoded": (lambda id_: encoded(str(id_)), PLAIN),
    "encoded twice": (lambda id_: quote(encoded(str(id_))), NOWHERE),
    # A lenient int() takes these for the same number.
    "a leading zero": (lambda id_: f"0{id_}", NOWHERE),
    "a plus sign": (lambda id_: f"+{id_}", NOWHERE),
    "an encoded plus sign": (lambda id_: f"%2b{id_}", NOWHERE),
    "a minus sign": (lambda id_: f"-{id_}", NOWHERE),
    "a space before it": (lambda id_: f"%20{id_}", NOWHERE),
    "a space behind it": (lambda id_: f"{id_}%20", NOWHERE),
    "a line end behind it": (lambda id_: f"{id_}%0a", NOWHERE),
    "NUL behind it": (lambda id_: f"{id_}%00", NOWHERE),
    "underscores": (lambda id_: f"0_{id_}", NOWHERE),
    "full-width digits": (lambda id_: "".join(quote(chr(0xFF10 + int(n))) for n in str(id_)), NOWHERE),
    "Arabic digits": (lambda id_: "".join(quote(chr(0x660 + int(n))) for n in str(id_)), NOWHERE),
    "mathematical digits": (lambda id_: "".join(quote(chr(0x1D7CE + int(n))) for n in str(id_)), NOWHERE),
    # A lenient float(), int(x, 0) or eval() takes these for the same number.
    "a fraction": (lambda id_: f"{id_}.0", NOWHERE),
    "a dot": (lambda id_: f"{id_}.", NOWHERE),
    "an exponent": (lambda id_: f"{id_}e0", NOWHERE),
    "hexadecimal": (lambda id_: f"0x{id_:x}", NOWHERE),
    "octal": (lambda id_: f"0o{id_:o}", NOWHERE),
    "quoted": (lambda id_: f"%22{id_}%22", NOWHERE),
    # In so many bits, these are the same number.
    "too large for 32 bits": (lambda id_: f"{id_ + 2**32}", NO_TASK),
    "too large for a sign": (lambda id_: f"{id_ % 1000 + 2**63}", NO_TASK),  # within 19 digits
    "too large for 64 bits": (lambda id_: f"{id_ + 2**64}", NOWHERE),
    "too large for 128 bits": (lambda id_: f"{id_ + 2**128}", NOWHERE),
    "too small for 64 bits": (lambda id_: f"{id_ - 2**64}", NOWHERE),
    # Split, these would be the number and something else.
    "a list": (lambda id_: f"1,{id_}", NOWHERE),
    "an encoded list": (lambda id_: f"1%2c{id_}", NOWHERE),
    "two with a semicolon": (lambda id_: f"1;{id_}", NOWHERE),
    "a matrix parameter": (lambda id_: f"{id_};a=b", NOWHERE),
    "a range": (lambda id_: f"1-{id_}", NOWHERE),
    "an extension": (lambda id_: f"{id_}.json", NOWHERE),
    "an encoded question mark": (lambda id_: f"{id_}%3f", NOWHERE),
    "an encoded slash": (lambda id_: f"1%2f..%2f{id_}", NOWHERE),
    "an encoded backslash": (lambda id_: f"1%5c..%5c{id_}", NOWHERE),
    "an array": (lambda id_: f"[{id_}]", NOWHERE),
    "an asterisk": (lambda _: "*", NOWHERE),
    "more SQL": (lambda id_: f"{id_}%20or%201=1", NOWHERE),
    "zero": (lambda _: "0", NOWHERE),
}


@pytest.mark.parametrize(("spell", "reading"), USER_IDS.values(), ids=USER_IDS)
def test_user_id_has_one_reading(wall: Wall, spell: Callable[[str, str], str], reading: Reading):
    trick = Trick(reading, lambda spot: spot.path_with(user=spell(spot.user, spot.other)))
    assert wall.faults(OPERATIONS, trick) == []


@pytest.mark.parametrize(("spell", "reading"), TASK_IDS.values(), ids=TASK_IDS)
def test_task_id_has_one_reading(wall: Wall, spell: Callable[[int], str], reading: Reading):
    trick = Trick(reading, lambda spot: spot.path_with(task=spell(spot.task)))
    assert wall.faults(ON_A_TASK, trick) == []
