"""Ours beside its peers: `python -m benchmarks.compare`. See benchmarks/README.md."""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import product
from pathlib import Path

import httpx

from benchmarks import chart, data, load
from benchmarks.data import Owned
from benchmarks.measure import Bench, Cell, Figures, table
from benchmarks.systems import OURS, OURS_ON_SQLITE, PEERS, serving
from tests.support.postgresql import started
from tests.support.server import Server, find_free_port

OPERATIONS = (*data.OPERATIONS, "mix")
PEOPLE, TASKS_EACH = 100, 100
RESULTS = Path(__file__).parent / "results" / "compare.json"

Results = dict[Cell, Figures]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    systems = [*options.systems, *([OURS_ON_SQLITE] if options.sqlite else [])]
    results = run(systems, options.connections, rounds=options.rounds, seconds=options.seconds)
    print_tables(results)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(as_json(results, rounds=options.rounds, seconds=options.seconds))
    options.json.with_suffix(".svg").write_text(chart.cpu(results, min(options.connections)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="how long each cell is measured, each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--systems", nargs="+", choices=(OURS, *PEERS), default=[OURS, *PEERS])
    parser.add_argument("--sqlite", action="store_true", help="ours on SQLite, too")
    parser.add_argument(
        "--json", type=Path, default=RESULTS, help="where the results go; the chart beside them"
    )
    return parser


def run(systems: Sequence[str], connections: Sequence[int], *, rounds: int, seconds: float) -> Results:
    """Every system with every operation. Each has a database of its own, on one PostgreSQL."""
    owners = data.people(PEOPLE) * TASKS_EACH
    cells = product(connections, OPERATIONS, systems)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="todo-bench-")))
        postgresql = stack.enter_context(started(find_free_port()))
        servers: dict[str, Server] = {}
        for system in systems:
            url = _database(system, postgresql, folder)
            data.fill(url, owners)
            servers[system] = stack.enter_context(serving(system, url, folder))
        _check_alike(servers, Owned(owners[0], 1))
        samples = {operation: data.Requests(owners).sample(operation) for operation in OPERATIONS}
        bench = Bench(stack.enter_context(load.client()), servers)
        return bench.medians(
            {Cell(system, operation, count): samples[operation] for count, operation, system in cells},
            rounds=rounds,
            seconds=seconds,
        )


def _check_alike(servers: Mapping[str, Server], task: Owned) -> None:
    """Raise AssertionError unless all systems return the same task and the same page."""
    headers = {"Authorization": f"Bearer {data.token(task.owner)}"}
    for path in (f"/api/{task.owner}/tasks/{task.task_id}", f"/api/{task.owner}/tasks?limit=50"):
        answers = {
            name: httpx.get(server.url + path, headers=headers).json() for name, server in servers.items()
        }
        first = next(iter(answers.values()))
        assert all(answer == first for answer in answers.values()), answers


def _database(system: str, postgresql: str, folder: Path) -> str:
    if system != OURS_ON_SQLITE:
        return data.migrated(postgresql, folder)
    url = f"sqlite:///{folder / 'todo.db'}"
    data.migrate(url, folder)
    return url


TABLES = {"cpu_us": "Server CPU, µs a request", "requests_per_s": "Requests a second", "p95_ms": "p95, ms"}


def print_tables(results: Results) -> None:
    """Print the figures as Markdown, then the ratio to each other system."""
    systems, operations, connections = (list(dict.fromkeys(column)) for column in zip(*results, strict=True))
    for count, (name, title) in product(connections, TABLES.items()):
        rows = {s: [getattr(results[Cell(s, o, count)], name) for o in operations] for s in systems}
        print(f"\n{title}, {count} connections:\n")
        print(table(operations, rows, ".2f" if name == "p95_ms" else ".0f"))
    client_us = max(figures.client_cpu_us for figures in results.values())
    print(f"\nThe client used at most {client_us:.0f} µs of its own core a request.")
    for count, name in product(connections, ("cpu_us", "requests_per_s") if OURS in systems else ()):
        rows = {peer: ratios(results, peer, count, name) for peer in PEERS if peer in systems}
        print(f"\n{TABLES[name]}, {count} connections, how many times better ours is:\n")
        print(table([*operations, "geometric mean"], rows, ".2f"))


def ratios(results: Results, peer: str, connections: int, name: str) -> list[float]:
    """By operation, how many times better ours is; and their geometric mean."""
    pairs = [
        (getattr(results[cell._replace(system=OURS)], name), getattr(figures, name))
        for cell, figures in results.items()
        if cell.system == peer and cell.connections == connections
    ]
    times = [peers / ours if name == "cpu_us" else ours / peers for ours, peers in pairs]
    return [*times, statistics.geometric_mean(times)]


def as_json(results: Results, *, rounds: int, seconds: float) -> str:
    """Return all figures and the machine as JSON."""
    machine = {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    cells = [cell._asdict() | asdict(figures) for cell, figures in results.items()]
    return json.dumps(machine | {"rounds": rounds, "seconds": seconds, "cells": cells}, indent=1)


if __name__ == "__main__":
    main()
