"""What the terminal shows besides text: tables and a progress bar. Imported inside the verbs that need it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from lung_srad.evaluation import Sheet, Table


def show(table: Table | Sheet) -> None:
    """Prints a table; into a file or a pipe it goes as Markdown, which no terminal width cuts."""
    console, sheet = Console(), table.sheet if isinstance(table, Table) else table
    if not console.is_terminal:
        console.file.write(sheet.markdown())
        return
    drawn = RichTable(title=sheet.heading or None, box=box.SIMPLE_HEAD, caption="\n".join(sheet.remarks) or None)
    for index, heading in enumerate(sheet.header):
        drawn.add_column(heading, justify="left" if index < sheet.texts else "right")
    for row in sheet.cells:
        drawn.add_row(*map(Text, row))  # Text: a name in [brackets] is no markup
    console.print(drawn)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a callback (done, total) that moves a bar on stderr; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def work() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a callback (what, done, total) for long work: a bar, with the estimated total time after 20 steps.

    Where stderr is no terminal, a line every half minute takes the bar's place.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, pace, said = bar.add_task("", total=None, left=""), _Pace(), time.monotonic()

        def report(what: str, done: int, total: int) -> None:
            nonlocal said
            left = pace(what, done, total)
            bar.update(task, description=what, completed=done, total=total, left=left)
            if not console.is_terminal and time.monotonic() - said > 30:
                said = time.monotonic()
                console.print(f"{what}: {done}/{total} {left}", highlight=False)

        yield report


class _Pace:
    """Estimates how long a piece of work takes in all, from its own steps."""

    def __init__(self) -> None:
        self._total, self._first, self._start = -1, 0, 0.0

    def __call__(self, what: str, done: int, total: int) -> str:
        """Returns "about 12 min in all, 5 min left" once 20 steps have been seen, else nothing."""
        now = time.monotonic()
        if total != self._total or done < self._first:
            self._total, self._first, self._start = total, done, now
        steps = done - self._first
        if steps < 20:
            return ""
        seconds = (now - self._start) / steps
        return f"about {seconds * total / 60:.1f} min in all, {seconds * (total - done) / 60:.1f} min left"
