"""The report of a run: tables as CSV, Markdown and one HTML page, figures as files and inside it."""

from __future__ import annotations

from compgen.atomic import replacing
from compgen.evaluation.run import Run
from compgen.evaluation.tables import Table


def write(run: Run) -> list[Table]:
    """Write the report into the run's folder, and return its tables."""
    tables = run.study.tables(run.records)
    (run.out / "tables").mkdir(exist_ok=True)
    for table in tables:
        with replacing(run.out / "tables" / f"{table.name}.csv") as file:
            file.write(table.csv().encode())
    return tables
