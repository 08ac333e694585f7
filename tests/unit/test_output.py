"""The thread that writes the log, on a pipe that is not read."""

import os
import select
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from observability.output import MAX_QUEUED_BYTES, Output
from tests.support.server import eventually

LINE_BYTES = 1000
FITS = MAX_QUEUED_BYTES // LINE_BYTES
PIPE_LINES = 100  # more than a pipe buffers
LINES = 10 * PIPE_LINES


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A reading and a writing end. The test closes the reading end."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)


def make_line(number: int) -> bytes:
    return f"{number} ".encode().ljust(LINE_BYTES - 1, b".") + b"\n"


def read_numbers(reader: int, last: int) -> list[int]:
    """Read lines until the one with the number `last`, or until none comes any more, and close the pipe."""
    read = b""
    while not read.endswith(make_line(last)) and select.select([reader], [], [], 5)[0]:
        read += os.read(reader, 65_536)
    os.close(reader)
    numbers = [int(line.split()[0]) for line in read.splitlines()]
    assert read == b"".join(map(make_line, numbers))
    return numbers


def count_dropped() -> float:
    return REGISTRY.get_sample_value("todo_log_records_dropped_total") or 0


def test_full_queue_drops_and_counts_the_oldest_lines_in_order(pipe: tuple[int, int]):
    reader, writer = pipe
    before, lines = count_dropped(), FITS + 500
    written = Output(writer)
    for number in range(lines):
        written.write(make_line(number))
    dropped = count_dropped() - before
    numbers = read_numbers(reader, lines - 1)
    assert numbers == sorted(numbers)
    assert numbers[-1] == lines - 1
    assert len(numbers) == lines - dropped
    assert len(numbers) <= FITS + PIPE_LINES
    assert dropped > 0


def test_lines_of_a_closed_pipe_are_dropped_and_counted(pipe: tuple[int, int]):
    reader, writer = pipe
    os.close(reader)
    before = count_dropped()
    written = Output(writer)
    written.write(make_line(0))
    written.drain()
    assert count_dropped() == before + 1


def test_lines_reach_a_non_blocking_pipe_whole(pipe: tuple[int, int]):
    reader, writer = pipe
    os.set_blocking(writer, False)
    before, written = count_dropped(), Output(writer)
    for number in range(LINES):
        written.write(make_line(number))
    assert eventually(lambda: not select.select([], [writer], [], 0)[1], within_s=5)  # the pipe is full
    assert read_numbers(reader, LINES - 1) == [*range(LINES)]
    assert count_dropped() == before
