"""Flat growth: the same requests on ever more tasks. `python -m benchmarks.growth`, see benchmarks/README.md.

Each size is a database of its own on one PostgreSQL, with its own server; they are measured in turn, so that
the machine's moods are in all of them. One user has half of the tasks, at most 100 thousand.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from random import Random

import httpx

from benchmarks import data, load
from benchmarks.measure import Bench, Cell, progress, table
from benchmarks.systems import OURS, serving
from tests.support.postgresql import started
from tests.support.server import Server, find_free_port

SIZES, LONG = (1_000, 100_000, 2_000_000), 10_000_000
HEAVY, HEAVY_HAS = "user-heavy", 100_000
TASKS_EACH, PEOPLE = 100, 5
PAGE, MOST_A_PAGE = 50, 1000
SORTS, STATUSES = ("created", "updated", "title"), ("all", "pending", "completed")
RESULTS = Path(__file__).parent / "results" / "growth.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="how long each cell is measured, each round"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--long", action="store_true", help="10 million tasks, too")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    options = parser.parse_args()
    sizes = [*options.sizes, *([LONG] if options.long else [])]
    medians = run(sizes, rounds=options.rounds, seconds=options.seconds)
    print("\nMedian ms of a request through one connection, by how many tasks there are:\n")
    print(table([*(f"{size:,}" for size in sizes), "last/first"], with_ratio(medians), ".2f"))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"sizes": sizes, "p50_ms": medians}, indent=1))


def with_ratio(medians: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The times of each operation, and the last to the first."""
    return {operation: [*times, times[-1] / times[0]] for operation, times in medians.items()}


def run(sizes: Sequence[int], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """The median latency in ms of each operation, in the order of `sizes`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="todo-bench-")))
        postgresql = stack.enter_context(started(find_free_port()))
        servers: dict[str, Server] = {}
        requests: dict[str, dict[str, list[bytes]]] = {}
        for size in sizes:
            url = data.migrated(postgresql, folder)
            owners = owners_of(size)
            seed(url, owners)
            servers[str(size)] = stack.enter_context(serving(OURS, url, folder))
            requests[str(size)] = requests_on(servers[str(size)], owners)
        operations = list(requests[str(sizes[0])])
        cells = {Cell(str(s), o, 1): requests[str(s)][o] for o in operations for s in sizes}
        bench = Bench(stack.enter_context(load.client()), servers)
        medians = bench.medians(cells, rounds=rounds, seconds=seconds)
    return {o: [medians[Cell(str(size), o, 1)].p50_ms for size in sizes] for o in operations}


def seed(url: str, owners: Sequence[str]) -> None:
    with progress() as bar:
        task = bar.add_task(f"seeding {len(owners):,} tasks", total=len(owners))
        data.fill(url, owners, lambda count: bar.advance(task, count))


def owners_of(size: int) -> list[str]:
    """Return the owner of each task. The tasks of the heavy user are spread among the others."""
    heavy = min(size // 2, HEAVY_HAS)
    every = size // heavy
    others = data.people((size - heavy) // TASKS_EACH)
    random = Random(size)
    return [
        HEAVY if number % every == 0 and number < heavy * every else random.choice(others)
        for number in range(size)
    ]


def requests_on(server: Server, owners: Sequence[str]) -> dict[str, list[bytes]]:
    """Return the requests by operation: tasks of a few users, a first and a deep page of the heavy user.

    The number of users is the same at each size, because the first request of each verifies a token.
    """
    few = data.Requests(owners, of=data.people(PEOPLE))
    requests = {operation: few.sample(operation) for operation in ("get", "create", "complete")}
    bearer, tasks = data.token(HEAVY), f"/api/{HEAVY}/tasks"
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {bearer}"}) as http:
        for sort, status in product(SORTS, STATUSES):
            path = f"{tasks}?sort={sort}&status={status}"
            pages = {"first": f"{path}&limit={PAGE}", "deep": deep_page(http, path, owners.count(HEAVY))}
            for place, target in pages.items():
                requests[f"{status} by {sort}, {place}"] = [data.request("GET", target, bearer)]
    return requests


def deep_page(http: httpx.Client, path: str, count: int) -> str:
    """The target of a page near the end of a list of at most `count`, found by following Link."""
    step = PAGE if count < 20 * MOST_A_PAGE else MOST_A_PAGE
    links = []
    answer = http.get(f"{path}&limit={step}").raise_for_status()
    while "next" in answer.links:
        links.append(answer.links["next"]["url"])
        answer = http.get(links[-1]).raise_for_status()
    return links[-2].replace(f"limit={step}", f"limit={PAGE}")  # the last may lead to less than a whole page


if __name__ == "__main__":
    main()
