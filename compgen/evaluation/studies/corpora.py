"""The study ``corpora``: standard corpora file by file, in bits per byte, beside published records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compgen.evaluation.figures import Axis, dots
from compgen.evaluation.shards import Record
from compgen.evaluation.studies.base import Study
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Published:
    """Rates that others report, as a config states them (``[[published]]``).

    Attributes:
        name: name of the compressor.
        source: where the rates are published.
        bpb: bits per byte, by set.
    """

    name: str
    source: str
    bpb: dict[str, float]


@dataclass(frozen=True)
class Corpora(Study):
    """Every set is a file, and is compressed whole.

    Attributes:
        published: rates that others report.
    """

    published: tuple[Published, ...] = field(default=())

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return bits per byte: a line for each file, a column for each compressor and each published record."""
        rates = self.rates(records)
        columns = [*(row.name for row in self.rows), *(one.name for one in self.published)]
        lines: list[tuple[Cell, ...]] = []
        for one in self.sets:
            found = [rates.get((row.name, one.name, 0)) for row in self.rows]
            size = max((r.raw for r in found if r), default=0)
            lines.append(
                (
                    one.name,
                    size,
                    *(None if r is None else 8 * r.honest for r in found),
                    *(record.bpb.get(one.name) for record in self.published),
                )
            )
        full = [line for line in lines if line[1]]
        means = [_mean([line[i] for line in full]) for i in range(2, 2 + len(self.rows))]
        lines.append(("mean", None, *means, *(None for _ in self.published)))
        notes = [f"{one.name}: reported by {one.source}; not run here." for one in self.published]
        notes += [f"{row} is not installed: {reason}" for row, reason in self.missing().items()]
        groups = ("", "", *("here" for _ in self.rows), *("published" for _ in self.published))
        caption = "Bits per byte, whole files as written, each decoded and compared"
        return [Table("corpora", caption, ("file", "bytes", *columns), lines, groups, places=3, notes=notes)]

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return bits per byte as dots, a line for each file."""
        rates = self.rates(records)
        panel: dict[str, dict[str, float]] = {}
        for one in self.sets:
            found = {row.name: rates[row.name, one.name, 0] for row in self.rows if (row.name, one.name, 0) in rates}
            panel[one.name] = {name: 8 * rate.honest for name, rate in found.items()}
            panel[one.name] |= {
                record.name: record.bpb[one.name] for record in self.published if one.name in record.bpb
            }
        return {"corpora": dots({self.title: panel}, Axis("bits per byte"))}


def _mean(values: list[Cell]) -> float | None:
    numbers = [value for value in values if isinstance(value, float)]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None
