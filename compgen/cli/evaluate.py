"""``cgn evaluate``: run a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from compgen.cli import files
from compgen.cli.help import FILES, OUTPUT
from compgen.cli.messages import console, report, tell
from compgen.cli.progress import progress
from compgen.display import one_line
from compgen.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from compgen.evaluation.tables import Table


Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A value that the config asks for, such as model=DIR in configs/table1_llm.toml. Repeatable.",
        rich_help_panel=FILES,
    ),
]
_PERIOD = 600.0
"""Seconds over which the time left is estimated. Chosen: a few of the longest shards, which take minutes."""


def evaluate(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="The study: a TOML file, such as those in configs/.",
            rich_help_panel=FILES,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            envvar="COMPGEN_DATA",
            help="The folder or fsspec URL of real data. docs/data.md says where to get it. Without it, studies run on "
            "data that the project makes itself.",
            rich_help_panel=FILES,
        ),
    ] = None,
    settings: Settings = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="The folder for results. Default: results/NAME-OF-THE-CONFIG.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(metavar="local|ray", help="Run the parts of the study in local processes, or on a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address of a Ray cluster. Default: start one here.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", help="The number of processes. Default: one for each core."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run whose results are in the folder.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", help="Use at most N chunks of each data set; 0 is all.")] = 0,
) -> None:
    """Run a study, and write its tables, its figures and a report.

    Examples:
        cgn evaluate configs/table1.toml
        cgn evaluate configs/table1_llm.toml --set model=DIR

    Docs: docs/evaluation.md, docs/data.md
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, not {jobs}")
    if limit < 0:
        raise UsageError(f"--limit must be 0 or more chunks, not {limit}")

    from compgen.compressors.base import threads
    from compgen.evaluation import engines, figures
    from compgen.evaluation.report import write
    from compgen.evaluation.run import evaluate as run

    figures.check_installed()
    values = dict(_setting(text) for text in settings or [])
    chosen = engines.engine(engine, jobs or threads(), address)
    folder = out or f"results/{Path(config).stem}"
    files.check_folder(folder)
    try:
        with progress("evaluating", None, period=_PERIOD) as advance:
            result = run(config, folder, chosen, root=data, values=values, resume=resume, limit=limit, watch=advance)
    except KeyboardInterrupt:
        report(f"the results so far are kept in {folder}; continue with --resume")
        raise
    tables = write(result)
    for table in tables:
        _print(table)
    if data is None:
        tell("these results are of made data, not of real sets; give --data DIR to compare with the paper")
    report(f"{result.out}/report.html: {result.seconds:.0f} s of work in {len(result.records)} shards")


def _setting(text: str) -> tuple[str, str]:
    """Return the name and the value of a --set.

    Raises:
        UsageError: the text is no NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise UsageError(f"--set takes NAME=VALUE, such as model=DIR, not '{text}'")
    return name, value


def _print(table: Table) -> None:
    """Print a table. If it is wider than the terminal, print each group of its columns on its own."""
    page = console(soft_wrap=True)
    wide = console(width=console(width=1000).measure(_grid(table)).maximum)
    if page.is_terminal and table.groups and wide.width > page.width:
        for group in dict.fromkeys(filter(None, table.groups)):
            page.print(_grid(table.only(group)))
    else:
        wide.print(_grid(table))
    for note in table.notes:
        page.print(f"  {one_line(note)}", style="dim")
    page.print()


def _grid(table: Table) -> Grid:
    from rich.table import Table as Grid

    grid = Grid(title=one_line(table.caption), title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    before = None
    for number, (group, column) in enumerate(
        zip(table.groups or [""] * len(table.columns), table.columns, strict=True)
    ):
        head = f"{one_line(group) if group != before else ''}\n{one_line(column)}" if table.groups else one_line(column)
        grid.add_column(head, justify="left" if number < table.labels else "right", no_wrap=True)
        before = group
    for row in table.rows:
        grid.add_row(*(one_line(table.show(cell)) for cell in row))
    return grid
