"""No collapse: many connections, a storm of logins, two workers. `python -m benchmarks.connections`.

Only ours, on PostgreSQL. See benchmarks/README.md.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks import data, load
from benchmarks.load import Client, Outcome
from benchmarks.measure import TICKS_A_SECOND, Bench, Cell, UnexpectedResponse, cpu_s, table
from benchmarks.systems import OURS, serving
from tests.support.postgresql import started
from tests.support.server import Server, find_free_port

CONNECTIONS = (1, 8, 64, 256, 512)
# Enough to keep bcrypt busy without end. Far more would be refused at once with 503, and only measure that.
LOGINS_AT_ONCE = 16
CREDENTIALS = {"email": "ada@example.com", "password": "three green parrots"}


class Place(NamedTuple):
    """Where servers are started."""

    postgresql: str
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.connections", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each row is measured, each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="todo-bench-"))
        place = Place(stack.enter_context(started(find_free_port())), Path(folder))
        client = stack.enter_context(load.client(processes=2))
        many_connections(place, client, options.connections, rounds=options.rounds, seconds=options.seconds)
        login_storm(place, client, seconds=options.seconds)
        two_workers(place, client, seconds=options.seconds)


def many_connections(
    place: Place, client: Client, connections: Sequence[int], *, rounds: int, seconds: float
) -> None:
    """Get one task on more and more connections. Fail unless every response is 2xx."""
    url, requests = _filled(place)
    cells = {Cell(OURS, "get", count): requests for count in connections}
    with serving(OURS, url, place.folder) as server:
        medians = Bench(client, {OURS: server}).medians(cells, rounds=rounds, seconds=seconds)
    at_64 = next((f.requests_per_s for cell, f in medians.items() if cell.connections == 64), None)
    rows = {
        str(cell.connections): [
            f.requests_per_s, f.requests_per_s / at_64 if at_64 else 0, f.p50_ms, f.p95_ms, f.cpu_us
        ]
        for cell, f in medians.items()
    }  # fmt: skip
    print("\nGET one, by connections; nothing but 2xx:\n")
    print(table(["requests/s", "to that at 64", "p50 ms", "p95 ms", "CPU µs"], rows, ".2f"))


def login_storm(place: Place, client: Client, *, seconds: float) -> None:
    """Get one task on 8 connections, alone and beside LOGINS_AT_ONCE concurrent logins."""
    url = data.migrated(place.postgresql, place.folder)
    with serving(OURS, url, place.folder, BETTER_AUTH_SECRET="") as server:
        port, gets, logins = (
            int(server.settings["PORT"]),
            _own_task(server),
            [data.request("POST", "/api/auth/login", body=CREDENTIALS)],
        )
        quiet = client.drive(port, gets, connections=8, seconds=seconds)
        storm = client.start(port, logins, connections=LOGINS_AT_ONCE, seconds=seconds + 1)
        time.sleep(0.5)
        during = client.drive(port, gets, connections=8, seconds=seconds)
        rows = {"quiet": _latencies(quiet, quiet), "during the storm": _latencies(during, quiet)}
    print("\nGET one beside logins:\n")
    print(table(["requests/s", "p50 ms", "p95 ms", "p95 to quiet"], rows, ".2f"))
    print(f"\nGETs by status: {during.statuses}; logins by status: {storm.result().statuses}")


def two_workers(place: Place, client: Client, *, seconds: float) -> None:
    """Get one task on 64 connections with one worker and with two, and measure the CPU of each process."""
    url, requests = _filled(place)
    rows = {}
    for workers in (1, 2):
        with serving(OURS, url, place.folder, WORKERS=str(workers)) as server:
            client.drive(int(server.settings["PORT"]), requests, connections=64, seconds=1)
            rows[f"workers={workers}"] = _busy(client, server, requests, seconds)
    print(
        f"\nGET one at 64 connections by workers, on {os.cpu_count()} cores; the right half is cores busy:\n"
    )
    print(table(["requests/s", "CPU µs", "server", "client", "machine"], rows, ".2f"))
    print(f"\n{rows['workers=2'][0] / rows['workers=1'][0]:.2f} times the throughput")


def _busy(client: Client, server: Server, requests: Sequence[bytes], seconds: float) -> list[float]:
    pid, port = server.process.pid, int(server.settings["PORT"])
    server_s, machine_s = cpu_s(pid), machine_cpu_s()
    outcome = client.drive(port, requests, connections=64, seconds=seconds)
    server_s, machine_s = cpu_s(pid) - server_s, machine_cpu_s() - machine_s
    cores = [busy_s / outcome.seconds for busy_s in (server_s, outcome.client_cpu_s, machine_s)]
    return [outcome.answered / outcome.seconds, server_s / outcome.answered * 1e6, *cores]


def machine_cpu_s() -> float:
    """Return the CPU time of all processes of the machine in seconds (proc(5))."""
    user, nice, system, _idle, _iowait, *more = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(ticks) for ticks in (user, nice, system, *more[:3])) / TICKS_A_SECOND


def _filled(place: Place) -> tuple[str, list[bytes]]:
    """The URL of a database with tasks, and requests that each read one."""
    url = data.migrated(place.postgresql, place.folder)
    owners = data.people(100) * 100
    data.fill(url, owners)
    return url, data.Requests(owners).sample("get")


def _own_task(server: Server) -> list[bytes]:
    """Sign up, create a task, and return the request that gets the task."""
    with httpx.Client(base_url=server.url, timeout=30) as http:
        http.post("/api/auth/signup", json=CREDENTIALS).raise_for_status()
        session = http.post("/api/auth/login", json=CREDENTIALS).raise_for_status().json()
        tasks, bearer = f"/api/{session['user']['id']}/tasks", session["access_token"]
        headers = {"Authorization": f"Bearer {bearer}"}
        task = http.post(tasks, json={"title": "Buy milk"}, headers=headers).raise_for_status().json()
    return [data.request("GET", f"{tasks}/{task['id']}", bearer)]


def _latencies(outcome: Outcome, quiet: Outcome) -> list[float]:
    if outcome.failed:
        raise UnexpectedResponse(f"GETs by status: {outcome.statuses}")
    p50, p95 = outcome.percentile_ms(50), outcome.percentile_ms(95)
    return [outcome.answered / outcome.seconds, p50, p95, p95 / quiet.percentile_ms(95)]


if __name__ == "__main__":
    main()
