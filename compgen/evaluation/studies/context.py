"""The study ``context``: rate against sequence length, or what is learnt within a sequence (paper, Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.evaluation.figures import Axis, curves
from compgen.evaluation.shards import Record
from compgen.evaluation.studies.base import Study
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Context(Study):
    """Each set is cut into sequences of several lengths, and each sequence is compressed on its own."""

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return a table for each set: rates by row and length."""
        rates = self.rates(records)
        made = []
        for one in self.sets:
            lines: list[tuple[Cell, ...]] = []
            for row in self.rows:
                found = [rates.get((row.name, one.name, length)) for length in self.lengths]
                if any(found):
                    lines.append((row.name, *(None if r is None else 100 * r.honest for r in found)))
                    if any(r and r.bits for r in found):
                        lines.append((f"{row.name}, -log2 p", *(None if r is None else 100 * r.ideal for r in found)))
            samples = {
                row.name: [r.raw for (name, found, _), r in rates.items() if (name, found) == (row.name, one.name)]
                for row in self.rows
            }
            notes = [
                "As written, each sequence a file or a segment with its frame; -log2 p: of models, without one.",
                "Bytes of the sample: "
                + "; ".join(f"{name} {max(sizes):,}" for name, sizes in samples.items() if sizes)
                + ". Rows on samples of different size compare by their shape.",
                *(f"{row} is not installed: {reason}" for row, reason in self.missing().items()),
            ]
            columns = ("compressor", *(f"{length:,}" for length in self.lengths))
            caption = f"{one.name}: rate by sequence length in bytes, % of raw size"
            made.append(Table(f"context-{one.name}", caption, columns, lines, notes=notes))
        return made

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return rates by length. As in the paper, those of models are without frames."""
        rates = self.rates(records)
        panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for one in self.sets:
            panels[one.name] = {}
            for row in self.rows:
                found = [(length, rates.get((row.name, one.name, length))) for length in self.lengths]
                points = [(float(length), 100 * (r.ideal if r.bits else r.honest)) for length, r in found if r]
                if points:
                    panels[one.name][row.name] = points
        return {"context": curves(panels, Axis("sequence length, bytes", 2), Axis("raw rate, % of raw size", 10))}
