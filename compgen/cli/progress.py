"""Progress on standard error, where someone is looking."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(label: str, total: int | None, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Show a bar with speed and time left while the block runs; nothing where stderr is no terminal.

    Yields:
        A function to call with the number of bytes done so far, and with the total where it is learnt only then;
        ``total`` is None where nobody knows it.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda *known: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} bytes/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, speed="-")

        def update(done: int, total: int | None = total) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, speed="-" if speed is None else f"{speed:.3g}")

        yield update
