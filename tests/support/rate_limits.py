"""What tests of limits have in common: asking too often, and reading the refusal."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

THREADS = 16

Ask = Callable[[], httpx.Response]


def asked(ask: Ask, times: int) -> list[int]:
    """The statuses, one after the other."""
    return [ask().status_code for _ in range(times)]


def answers_at_once(asks: list[Ask]) -> list[httpx.Response]:
    """The answers to all of them, asked by THREADS."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda ask: ask(), asks))


def asked_at_once(asks: list[Ask]) -> list[int]:
    """Their statuses."""
    return [answer.status_code for answer in answers_at_once(asks)]


def is_refused(answer: httpx.Response) -> bool:
    return answer.status_code == 429


def first_refusal(ask: Ask, within: int = 50) -> httpx.Response:
    """The first answer that is 429, wherever in a window the asking begins."""
    for _ in range(within):
        if is_refused(answer := ask()):
            return answer
    raise AssertionError(f"{within} requests and no refusal")


def check_refusal(answer: httpx.Response, name: str, count: int, window_s: int) -> None:
    """Fails unless it says all that a client needs to come back in time."""
    assert is_refused(answer)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["ratelimit-policy"] == f'"{name}";q={count};w={window_s}'
    spent = re.fullmatch(rf'"{name}";r=0;t=([0-9]+)', answer.headers["ratelimit"])
    assert spent, answer.headers["ratelimit"]
    assert spent[1] == answer.headers["retry-after"]
    assert 1 <= int(spent[1]) <= window_s
    if answer.request.method != "HEAD":
        assert answer.json()["type"] == "urn:todo:problem:too-many-requests"
