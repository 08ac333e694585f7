"""Profile the CPU of one request: `python -m benchmarks.profile [get|list|create|complete|mix]`.

Runs the server as `python -m cli serve` does, on PostgreSQL, under load, and looks at it at each tick of its
CPU time: which function runs (what C code takes is its caller's), and which have called it (a greenlet hides
those above it). A tracing profiler would count short functions much dearer than they are.
"""

import argparse
import json
import re
import signal
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from benchmarks import data, load
from benchmarks.measure import WARM_UP_S, Bench, Cell
from benchmarks.systems import OURS, SETTINGS
from cli.__main__ import main as run_command
from tests.support.postgresql import started
from tests.support.server import ROOT, find_free_port, run_server


class Sampler:
    """Samples the stack by SIGPROF: own time and cumulative time of each function."""

    def __init__(self) -> None:
        self.samples = 0
        self.own: Counter[CodeType] = Counter()
        self.total: Counter[CodeType] = Counter()

    def start(self, _signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def save(self, path: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        rows = [(_name(code), times, self.total[code]) for code, times in self.own.most_common()]
        path.write_text(json.dumps([self.samples, rows]))

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        assert frame is not None
        self.samples += 1
        self.own[frame.f_code] += 1
        below: set[CodeType] = set()
        here: FrameType | None = frame
        while here is not None:
            below.add(here.f_code)
            here = here.f_back
        self.total.update(below)


def _name(code: CodeType) -> str:
    """Like `todo/app.py create_app`, from the folder of packages or of this project on."""
    path = Path(code.co_filename)
    for root in (Path(sysconfig.get_path("platlib")), ROOT, Path(sysconfig.get_path("stdlib"))):
        if path.is_relative_to(root):
            path = path.relative_to(root)
    return f"{path} {code.co_qualname}"


def serve(samples: Path) -> None:
    """`python -m cli serve`, sampled from SIGUSR1 on until it ends."""
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    sys.argv = ["todo", "serve"]
    try:
        run_command()
    finally:
        sampler.save(samples)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("operation", nargs="?", default="get", choices=[*data.OPERATIONS, "mix"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    else:
        report(options.operation, seconds=options.seconds, top=options.top)


def report(operation: str, *, seconds: float, top: int) -> None:
    """Print the time of each function."""
    with tempfile.TemporaryDirectory(prefix="todo-bench-") as folder:
        samples = Path(folder) / "samples.json"
        cpu_us = load_it(operation, samples, seconds=seconds)
        count, rows = json.loads(samples.read_text())
    print(f"{operation}: {cpu_us:.0f} µs of CPU a request, {count} samples\n\n  own µs  all µs  function")
    for name, own, total in rows[:top]:
        print(f"{own / count * cpu_us:8.1f}{total / count * cpu_us:8.1f}  {name}")
    packages: Counter[str] = Counter()
    for name, own, _ in rows:
        packages[re.split("[/ ]", name)[0]] += own
    print("\n  own µs  package")
    for name, own in packages.most_common(top):
        print(f"{own / count * cpu_us:8.1f}  {name}")


def load_it(operation: str, samples: Path, *, seconds: float) -> float:
    """The CPU µs of a request while the server is sampled into `samples`."""
    owners = data.people(100) * 100
    requests = data.Requests(owners).sample(operation)
    cell = Cell(OURS, operation, 8)
    command = (sys.executable, "-m", "benchmarks.profile", "--serve", str(samples))
    with started(find_free_port()) as postgresql, load.client() as client:
        url = data.migrated(postgresql, samples.parent)
        data.fill(url, owners)
        with run_server(samples.parent, command, **SETTINGS, DATABASE_URL=url) as server:
            bench = Bench(client, {OURS: server})
            bench.measure(cell, requests, WARM_UP_S)
            server.process.send_signal(signal.SIGUSR1)
            return bench.measure(cell, requests, seconds).cpu_us


if __name__ == "__main__":
    main()
