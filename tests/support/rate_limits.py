"""Send more requests than a rate limit allows, and check how they are rejected."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

THREADS = 16

Send = Callable[[], httpx.Response]


def send_times(send: Send, times: int) -> list[int]:
    """Send the request so often, and return the statuses."""
    return [send().status_code for _ in range(times)]


def send_at_once(sends: Sequence[Send]) -> list[httpx.Response]:
    """Send all requests by THREADS, and return the responses."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda send: send(), sends))


def send_until_rejected(send: Send, within: int = 50) -> httpx.Response:
    """Send the request until it is 429, wherever in a window it begins. Return that response."""
    for _ in range(within):
        if (response := send()).status_code == 429:
            return response
    raise AssertionError(f"none of {within} requests is rejected")


def check_rejection(response: httpx.Response, name: str, count: int, window_s: int) -> None:
    """Fail unless the response says which limit rejected the request, and when to send it again."""
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["ratelimit-policy"] == f'"{name}";q={count};w={window_s}'
    remaining = re.fullmatch(rf'"{name}";r=0;t=([0-9]+)', response.headers["ratelimit"])
    assert remaining, response.headers["ratelimit"]
    assert remaining[1] == response.headers["retry-after"]
    assert 1 <= int(remaining[1]) <= window_s
    if response.request.method != "HEAD":
        assert response.json()["type"] == "urn:todo:problem:too-many-requests"
