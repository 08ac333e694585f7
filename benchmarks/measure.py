"""Measures servers in turn: requests a second, latencies, and the CPU that a request costs the server."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.load import Client, Outcome
from tests.support.server import Server

WARM_UP_S = 0.5  # connections, prepared statements, imports on first use
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class UnexpectedResponse(Exception):
    """A response is not 2xx, so the systems cannot be compared."""


class Cell(NamedTuple):
    """One box of the table."""

    system: str
    operation: str
    connections: int


@dataclass(frozen=True)
class Figures:
    """The figures of one system and operation. `cpu_us` is the CPU of all server processes per request."""

    requests_per_s: float
    cpu_us: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_cpu_us: float
    answered: int

    @classmethod
    def of(cls, outcome: Outcome, server_cpu_s: float) -> "Figures":
        return cls(
            requests_per_s=outcome.answered / outcome.seconds,
            cpu_us=server_cpu_s / outcome.answered * 1e6,
            p50_ms=outcome.percentile_ms(50),
            p95_ms=outcome.percentile_ms(95),
            p99_ms=outcome.percentile_ms(99),
            client_cpu_us=outcome.client_cpu_s / outcome.answered * 1e6,
            answered=outcome.answered,
        )

    @classmethod
    def median(cls, rounds: Sequence["Figures"]) -> "Figures":
        names = [field.name for field in fields(cls)]
        return cls(**{name: statistics.median(getattr(r, name) for r in rounds) for name in names})


class Bench:
    """Servers by name, and the client that loads them."""

    def __init__(self, client: Client, servers: Mapping[str, Server]) -> None:
        self._client = client
        self._servers = servers

    def medians(
        self, cells: Mapping[Cell, Sequence[bytes]], *, rounds: int, seconds: float
    ) -> dict[Cell, Figures]:
        """Return the medians. The systems take turns in each round, to share changes of the machine."""
        with progress() as bar:
            task = bar.add_task("warming up", total=(rounds + 1) * len(cells))
            for cell, requests in cells.items():
                self.measure(cell, requests, min(seconds, WARM_UP_S))
                bar.advance(task)
            measured: dict[Cell, list[Figures]] = {cell: [] for cell in cells}
            for _ in range(rounds):
                for cell, requests in cells.items():
                    bar.update(task, description=f"{cell.system} {cell.operation} x{cell.connections}")
                    measured[cell].append(self.measure(cell, requests, seconds))
                    bar.advance(task)
        return {cell: Figures.median(figures) for cell, figures in measured.items()}

    def measure(self, cell: Cell, requests: Sequence[bytes], seconds: float) -> Figures:
        """Raise UnexpectedResponse if a response is not 2xx."""
        process = self._servers[cell.system].process
        port = int(self._servers[cell.system].settings["PORT"])
        before = cpu_s(process.pid)
        outcome = self._client.drive(port, requests, connections=cell.connections, seconds=seconds)
        if outcome.failed:
            raise UnexpectedResponse(f"{cell}: of {outcome.answered} answers, by status, {outcome.failed}")
        return Figures.of(outcome, cpu_s(process.pid) - before)


def progress() -> Progress:
    """A progress bar on stderr."""
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def table(columns: Sequence[str], rows: Mapping[str, Sequence[float]], form: str) -> str:
    """Markdown, a row for each name."""
    width = max(map(len, rows))
    head = [" " * width, *(f"{column:>8}" for column in columns)]
    lines = [head, ["-" * len(cell) for cell in head]]
    lines += [
        [f"{name:{width}}", *(format(value, form) for value in values)] for name, values in rows.items()
    ]
    padded = ([cell.rjust(len(top)) for cell, top in zip(line, head, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def cpu_s(pid: int) -> float:
    """The user and system time of a process, of its children, and of those it has seen end (proc(5))."""
    process = Path("/proc") / str(pid)
    numbers = process.joinpath("stat").read_text().rpartition(")")[2].split()
    own = sum(int(number) for number in numbers[11:15]) / TICKS_A_SECOND  # utime, stime, cutime, cstime
    children = [child for path in process.glob("task/*/children") for child in path.read_text().split()]
    return own + sum(cpu_s(int(child)) for child in children)
