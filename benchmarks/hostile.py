"""Measure the CPU that a client can choose: `python -m benchmarks.hostile`.

Prints the CPU of hostile requests, and the factor to an ordinary request of the same operation and size.
"""

import argparse
import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks import data
from benchmarks.measure import cpu_s, table
from benchmarks.systems import OURS_ON_SQLITE, serving

SIZE = 60_000
OWNER = "ada"
TASKS = f"/api/{OWNER}/tasks"


def fill(unit: str, tail: str = "0") -> bytes:
    """Return a task with an unknown member: an array that repeats `unit`."""
    return ('{"title":"x","y":[' + unit * (SIZE // len(unit)) + tail + "]}").encode()


BODIES = {
    "ordinary": ('{"title":"x","y":"' + "a" * SIZE + '"}').encode(),
    "arrays": fill("[],"),
    "objects": fill("{},"),
    "arrays 31 deep": fill("[" * 31 + "]" * 31 + ","),
    "strings": fill('"",'),
    "strings and 40 arrays": fill('"",', "[]," * 40 + "0"),
    "strings and an escape": fill('"a",', r'"\ud83d\ude00"'),
    "names": ('{"title":"x",' + ",".join(f'"{n:x}":1' for n in range(SIZE // 9)) + "}").encode(),
    "numbers": fill("1.5,"),
    "numbers and an exponent": fill("1.5,", "1e300"),
    "quotes that do not end": ('{"' * (SIZE // 2)).encode(),
}
KEYS = {"ordinary": "k", "255 characters": "k" * 255}
CURSORS = {"ordinary": "abc", "2048 characters": "A" * 2048}
HEADERS = {"ordinary": {"X-0": "a" * 15_000}, "98 headers": {f"X-{n}": "a" * 140 for n in range(90)}}


def forge(payload: bytes) -> str:
    """Return a token with this payload and a wrong signature."""
    header, _, signature = data.token(OWNER).split(".")
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return f"{header}.{encoded}.{signature}"


TOKENS = {
    "ordinary": forge(b'{"sub":"ada","y":"' + b"a" * 11_000 + b'"}'),
    "arrays": forge(b'{"sub":"ada","y":[' + b"[]," * 3_600 + b"0]}"),
    "strings": forge(b'{"sub":"ada","y":[' + b'"",' * 3_600 + b"0]}"),
    "another issuer": data.token(OWNER)[:-10] + "A" * 10,
}


def build_requests(http: httpx.Client) -> dict[str, dict[str, httpx.Request]]:
    """Return the requests by operation and kind."""
    bodies = {name: http.build_request("POST", TASKS, content=body) for name, body in BODIES.items()}
    keys = {
        name: http.build_request("POST", TASKS, json={"title": "x"}, headers={"Idempotency-Key": key})
        for name, key in KEYS.items()
    }
    cursors = {
        name: http.build_request("GET", TASKS, params={"cursor": value}) for name, value in CURSORS.items()
    }
    headers = {name: http.build_request("GET", f"{TASKS}/1", headers=some) for name, some in HEADERS.items()}
    tokens = {
        name: http.build_request("GET", f"{TASKS}/1", headers={"Authorization": f"Bearer {token}"})
        for name, token in TOKENS.items()
    }
    return {
        "POST with a body": bodies,
        "POST with a key": keys,
        "GET with a cursor": cursors,
        "GET with headers": headers,
        "GET with a token": tokens,
    }


def measure(http: httpx.Client, pid: int, request: httpx.Request, count: int) -> float:
    """Return the CPU of the server per request in µs."""
    http.send(request)
    before = cpu_s(pid)
    for _ in range(count):
        http.send(request)
    return (cpu_s(pid) - before) / count * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="of each kind (300)")
    count = parser.parse_args(arguments).requests
    headers = {"Authorization": f"Bearer {data.token(OWNER)}", "Content-Type": "application/json"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(OURS_ON_SQLITE, f"sqlite:///{folder}/todo.db", Path(folder)) as server,
        httpx.Client(base_url=server.url, headers=headers) as http,
    ):
        for operation, kinds in build_requests(http).items():
            costs = {name: measure(http, server.process.pid, found, count) for name, found in kinds.items()}
            rows = {name: [cost, cost / (costs["ordinary"] or 1)] for name, cost in costs.items()}
            print(f"\n{operation}\n\n{table(['CPU µs', 'factor'], rows, '.2f')}")


if __name__ == "__main__":
    main()
