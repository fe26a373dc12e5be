"""A progress bar on standard error, if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from compgen.cli.messages import speed


@contextmanager
def progress(label: str, total: int | None, shown: bool = True, period: float = 30.0) -> Iterator[Callable[..., None]]:
    """Show a bar with the speed and the time left while the block runs. If standard error is no terminal, show nothing.

    Args:
        label: the text before the bar.
        total: bytes to do, or None if nobody knows.
        shown: False shows nothing.
        period: seconds over which the speed is averaged.

    Yields:
        A function to call with the number of bytes done so far, and with the total if it becomes known only then.
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
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=period) as bar:
        task = bar.add_task(label, total=total, speed="")

        def update(done: int, total: int | None = total) -> None:
            rate = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, speed="" if rate is None else speed(rate))

        yield update
