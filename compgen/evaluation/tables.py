"""Tables of a study, and their output as text, CSV and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Cell: TypeAlias = str | float | int | None
"""Content of a cell. None means no value; an infinite number is shown as "never"."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: name of its file, without suffix.
        caption: its title.
        columns: the heading of each column.
        rows: the cells; None is shown as a dash.
        groups: the group of each column, "" for a column in none; empty if there are no groups.
        places: decimals of the numbers.
        labels: number of columns at the left that hold words.
        notes: sentences below the table.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    groups: tuple[str, ...] = ()
    places: int = 1
    labels: int = 1
    notes: list[str] = field(default_factory=list)

    def show(self, cell: Cell) -> str:
        """Return the text of a cell."""
        if cell is None:
            return "-"
        if isinstance(cell, str):
            return cell
        if isinstance(cell, int):
            return f"{cell:,}"
        return "never" if math.isinf(cell) else f"{cell:,.{self.places}f}"

    @property
    def headings(self) -> list[str]:
        """The heading of each column, after the name of its group."""
        return [f"{g} {c}".strip() for g, c in zip(self.groups or ("",) * len(self.columns), self.columns, strict=True)]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The groups in order, each with its number of columns."""
        return [(name, len(list(columns))) for name, columns in itertools.groupby(self.groups)]

    def only(self, group: str) -> Table:
        """Return a table of the label columns and the columns of one group, without notes."""
        kept = [i for i, name in enumerate(self.groups) if name == group or i < self.labels]
        return dataclasses.replace(
            self,
            caption=f"{self.caption}: {group}",
            columns=tuple(self.columns[i] for i in kept),
            rows=[tuple(row[i] for i in kept) for row in self.rows],
            groups=(),
            notes=[],
        )

    def csv(self) -> str:
        """Return the table as CSV, with unrounded numbers."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.headings)
        writer.writerows(self.rows)
        return out.getvalue()

    def markdown(self) -> str:
        """Return the table as Markdown, under its caption."""
        lines = [
            f"**{_plain(self.caption)}**",
            "",
            "| " + " | ".join(map(_plain, self.headings)) + " |",
            "|" + " --- |" * self.labels + " ---: |" * (len(self.columns) - self.labels),
            *("| " + " | ".join(_plain(self.show(cell)) for cell in row) + " |" for row in self.rows),
        ]
        if self.notes:
            lines += ["", *(f"- {_plain(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
