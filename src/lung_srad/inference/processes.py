"""Several processes over one list of recordings: each holds a model; one that dies costs its file, nobody else's."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from lung_srad.errors import LungSradError, RunError, message, shown
from lung_srad.inference.bulk import FAILED, Row, Task, Worker, fingerprint

Build = Callable[[], Worker]


@dataclass
class _Seat:
    """A process, the way to it, and the task it has."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None


def in_processes(build: Build, count: int, tasks: Sequence[Task], *, threads: int = 1) -> Iterator[Row]:
    """Yields the row of every task, as they come.

    Args:
        build: makes the worker, once in each process; can be pickled.
        count: of processes.
        tasks: what to answer.
        threads: of each process.

    Raises:
        RunError: a worker cannot go on: there is no model, or no room for its files.
    """
    left, seats = list(reversed(tasks)), []
    try:
        for _ in range(min(count, len(left))):
            seats.append(_seated(build, threads, left.pop()))
        while seats:
            ready = wait([seat.connection for seat in seats])
            for seat in [seat for seat in seats if seat.connection in ready]:
                row = _received(seat)
                seats.remove(seat)
                if left and seat.process.is_alive():
                    _give(seat, left.pop())
                    seats.append(seat)
                elif left:
                    seats.append(_seated(build, threads, left.pop()))
                else:
                    seat.connection.close()
                    seat.process.join()
                yield row
    finally:
        for seat in seats:
            seat.process.terminate()
            seat.process.join()


def _seated(build: Build, threads: int, task: Task) -> _Seat:
    context = multiprocessing.get_context("spawn")  # a forked torch hangs in its threads
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, build, threads), daemon=True)
    process.start()
    there.close()
    seat = _Seat(process, here)
    _give(seat, task)
    return seat


def _give(seat: _Seat, task: Task) -> None:
    seat.task = task
    with suppress(BrokenPipeError, ConnectionResetError):  # it died just now: the end of its pipe is found next
        seat.connection.send(task)


def _received(seat: _Seat) -> Row:
    """Returns the row that a process sends, or that of the file over which it died."""
    task = seat.task
    try:
        kind, content = seat.connection.recv()
    except (EOFError, ConnectionResetError):
        seat.process.join()
        code = seat.process.exitcode or 0
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        remedy = "look at the file and at the machine's memory, and run the command again"
        error = message(task.path, f"the process that heard it ended {how}", "allowed: one that answers", remedy)
        row = {"path": task.path, "file": fingerprint(task.path), "output": task.name, "patient": ""}
        return row | {"status": FAILED, "error": shown(error)}
    if kind == "stop":
        raise RunError(content)
    return content


def _serve(connection: Connection, build: Build, threads: int) -> None:
    """Answers tasks until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    torch.set_num_threads(threads)
    try:
        worker = build()
        while True:
            connection.send(("row", worker(connection.recv())))
    except (EOFError, BrokenPipeError):
        pass
    except LungSradError as error:
        connection.send(("stop", str(error)))
