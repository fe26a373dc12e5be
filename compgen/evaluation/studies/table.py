"""The study ``table``: the paper's Table 1, with raw and adjusted rates by the honest and the paper's accounting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.evaluation import paper
from compgen.evaluation.accounting import PAPER_BYTES, Rates, break_even
from compgen.evaluation.data import SetConfig
from compgen.evaluation.figures import Axis, dots
from compgen.evaluation.shards import Record
from compgen.evaluation.studies.base import Study, StudyRow
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RateTable(Study):
    """Table 1 of the paper, for any sets and rows."""

    paper = True

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return raw rates, the paper's accounting, derived coders beside their compressors, and adjusted rates."""
        rates = self.rates(records)
        made = [self._raw(rates), self._accounting(rates)]
        if any(one.own for one in rates.values()):
            made.append(self._derived(rates))
        if any(one.parameters for one in rates.values()):
            made.append(self._adjusted(rates))
        return made

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return raw rates at the last of the study's chunk lengths, beside the paper's."""
        rates, length = self.rates(records), self.lengths[-1]
        panels: dict[str, dict[str, dict[str, float]]] = {}
        rows = [row for row in self.rows if any((row.name, one.name, length) in rates for one in self.sets)]
        for one in self.sets:
            panels[one.name] = {}
            for row in rows:
                found = rates.get((row.name, one.name, length))
                values = {
                    "ours": 100 * found.honest if found else None,
                    "by the paper's accounting": percent(found.paper_code) if found else None,
                    "the paper": paper.raw(row.paper, one.paper, not length),
                }
                panels[one.name][row.name] = {kind: value for kind, value in values.items() if value is not None}
        chunk = f"chunks of {length:,} bytes" if length else "whole"
        return {"rates": dots(panels, Axis(f"rate, %, {chunk}"))}

    def _raw(self, rates: _Found) -> Table:
        def cells(row: StudyRow, one: SetConfig, length: int, found: Rates | None) -> tuple[Cell, ...]:
            return 100 * found.honest if found else None, paper.raw(row.paper, one.paper, not length)

        def counts(found: list[Rates]) -> tuple[Cell, ...]:
            return sum(one.chunks for one in found), sum(one.decoded for one in found)

        notes = [
            "ours: all 8 bits, as written (a chunk of a compressor is a file; of a model, a segment of a .cgn file "
            "with its frame), of which the chunks counted under 'decoded' were decoded and compared.",
            "paper: Table 1 of arXiv 2309.10668v2, on 1 GB of the set that it names; other data, another accounting.",
        ]
        for one in self.sets:
            models = sorted({r.raw for (_, name, _), r in rates.items() if name == one.name and r.bits})
            everything = sorted({r.raw for (_, name, _), r in rates.items() if name == one.name and not r.bits})
            sampled = f"; models: a sample of {' or '.join(f'{size:,}' for size in models)}" if models else ""
            notes.append(f"{one.name}: {' or '.join(f'{size:,}' for size in everything) or 'no'} bytes{sampled}.")
        return self._grid("raw", "Raw rates, % of raw size", ("ours", "paper"), cells, rates, counts, notes)

    def _accounting(self, rates: _Found) -> Table:
        def cells(row: StudyRow, one: SetConfig, length: int, found: Rates | None) -> tuple[Cell, ...]:
            ours = (found.paper_code, found.paper_seven) if found else (None, None)
            return (*map(percent, ours), paper.raw(row.paper, one.paper, not length))

        notes = [
            "code: what the paper's published code counts: headers subtracted, .xz containers, PNG of the wrong width; "
            "models see 7 bits, times 8/7.",
            "7 bit: the same with 7 bits for all compressors. What the dropped bits held is stored nowhere: such rates "
            "are not of a lossless compressor.",
        ]
        caption = "The paper's accounting, % of raw size"
        return self._grid("paper", caption, ("code", "7 bit", "paper"), cells, rates, lambda found: (), notes)

    def _derived(self, rates: _Found) -> Table:
        def cells(row: StudyRow, one: SetConfig, length: int, found: Rates | None) -> tuple[Cell, ...]:
            if not found or not found.own:
                return None, None, None
            return 100 * found.ideal, 100 * found.honest, 100 * found.own / found.raw

        derived = self._with(rates, lambda one: one.own)
        notes = [
            "-log2 p: what the derived distribution costs; written: with its frame; own: the compressor's own files of "
            "the same chunks, each with its header."
        ]
        caption = "Derived coders beside their compressors, % of raw size"
        columns = ("-log2 p", "written", "own")
        return self._grid("derived", caption, columns, cells, rates, lambda found: (), notes, derived)

    def _adjusted(self, rates: _Found) -> Table:
        def cells(row: StudyRow, one: SetConfig, length: int, found: Rates | None) -> tuple[Cell, ...]:
            if not found:
                return None, None, None, None
            others = [
                r.honest for (_, name, n), r in rates.items() if (name, n) == (one.name, length) and not r.parameters
            ]
            two, shipped = (100 * found.adjusted(found.honest, PAPER_BYTES, kind) for kind in (False, True))
            even = break_even(found.shipped, found.honest, min(others)) / 1e6 if others else None
            return two, shipped, even, paper.adjusted(row.paper, one.paper)

        large = self._with(rates, lambda one: one.parameters)
        notes = [
            "2 B: 2 bytes per parameter, as the paper counts; shipped: the weights' own bytes; both at 1 GB of data.",
            "even MB: megabytes of data above which the model, shipped, beats the best row here that needs no weights.",
        ]
        columns = ("2 B", "shipped", "even MB", "paper")
        return self._grid(
            "adjusted", "Adjusted rates, % of raw size", columns, cells, rates, lambda found: (), notes, large
        )

    def _with(self, rates: _Found, what: Callable[[Rates], int]) -> list[StudyRow]:
        return [row for row in self.rows if any(what(one) for (name, _, _), one in rates.items() if name == row.name)]

    def _grid(
        self,
        name: str,
        caption: str,
        columns: tuple[str, ...],
        cells: Callable[[StudyRow, SetConfig, int, Rates | None], tuple[Cell, ...]],
        rates: _Found,
        counts: Callable[[list[Rates]], tuple[Cell, ...]],
        notes: list[str],
        rows: Sequence[StudyRow] | None = None,
        tail: tuple[str, ...] = ("chunks", "decoded"),
    ) -> Table:
        """Return a table with a line for each chunk length and compressor, and ``columns`` for each set.

        Args:
            name: name of the table.
            caption: caption of the table.
            columns: headings of a set's columns.
            cells: gives a set's cells, from the row, the set, the chunk length, and its rates (None if not measured).
            rates: all rates, by row, set and chunk length.
            counts: gives the cells of the chunk counts at the end of a line; none if the table has no such columns.
            notes: notes of the table.
            rows: rows to show; None for all.
            tail: headings of the chunk counts.
        """
        lines: list[tuple[Cell, ...]] = []
        missing = self.missing()
        tail = tail if counts([Rates()]) else ()
        for length in self.lengths:
            for row in self.rows if rows is None else rows:
                if length not in (row.lengths or self.lengths):
                    continue
                found = [rates.get((row.name, one.name, length)) for one in self.sets]
                label = f"{row.name} (not installed)" if row.name in missing else row.name
                body = [
                    cell for one, rate in zip(self.sets, found, strict=True) for cell in cells(row, one, length, rate)
                ]
                lines.append((str(length or "whole"), label, *body, *counts([rate for rate in found if rate])))
        groups = ("", "", *(one.name for one in self.sets for _ in columns), *("" for _ in tail))
        heads = ("chunk", "compressor", *columns * len(self.sets), *tail)
        notes = [*notes, *(f"{row} is not installed: {reason}" for row, reason in missing.items())]
        return Table(name, caption, heads, lines, groups, labels=2, notes=notes)


_Found = dict[tuple[str, str, int], Rates]
"""Rates by row, set and chunk length."""


def percent(rate: float | None) -> float | None:
    """Return ``rate`` in %; None for none."""
    return None if rate is None else 100 * rate
