"""The study ``headline``: language models beside compressors in chunks, by both accountings, and by position.

It is the paper's headline in one table: a model of text, on text, pictures and speech. Each row is counted as the paper
counts it, with the dropped bit kept, and as written; and the rate is given by position in the chunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compgen.evaluation import paper
from compgen.evaluation.accounting import PAPER_BYTES, Rates
from compgen.evaluation.data import SetConfig
from compgen.evaluation.figures import Axis, curves
from compgen.evaluation.shards import RateShard, Record, Shard, positions
from compgen.evaluation.studies.base import Place, StudyRow
from compgen.evaluation.studies.table import RateTable, percent
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Headline(RateTable):
    """Models and compressors on the same chunks."""

    def plan(self, place: Place) -> list[Shard]:
        """Return the shards so that a run that is stopped has about as many chunks of each set.

        Those that write code for a part of a model's chunks, the slowest, come last.
        """
        few = {row.name for row in self.rows if row.coded}

        def turn(shard: Shard) -> tuple[bool, int]:
            return isinstance(shard, RateShard) and shard.row in few, int(shard.id.rpartition("/")[2])

        return sorted(super().plan(place), key=turn)

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return the headline, and for each set the rate by position in a chunk."""
        made = [self._headline(self.rates(records), records)]
        for name, panel in self._positions(records).items():
            if not panel:
                continue
            edges = [f"to {edge:,}" for edge in positions(self.lengths[-1])]
            lines: list[tuple[Cell, ...]] = [(row, *(rate for _, rate in points)) for row, points in panel.items()]
            caption = f"{name}: rate by position in the chunk, bytes, % of raw size, as the paper counts"
            made.append(Table(f"positions-{name}", caption, ("model", *edges), lines))
        return made

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return the rates, and the rate by position in a chunk."""
        panels = {name: panel for name, panel in self._positions(records).items() if panel}
        made = super().figures(records)
        if panels:
            axes = Axis("position in the chunk, bytes", 2), Axis("rate there, % of raw size", 10)
            made["positions"] = curves(panels, *axes)
        return made

    def _headline(self, rates: dict[tuple[str, str, int], Rates], records: Sequence[Record]) -> Table:
        def cells(row: StudyRow, one: SetConfig, length: int, found: Rates | None) -> tuple[Cell, ...]:
            published = paper.raw(row.paper, one.paper, not length)
            if not found:
                return None, None, None, None, published
            counted = found.paper_code, found.paper_error, found.kept
            return (*map(percent, counted), 100 * found.honest if found.raw else None, published)

        def counts(found: list[Rates]) -> tuple[Cell, ...]:
            each = [(one.counted_chunks, one.chunks, one.decoded) for one in found] or [(0, 0, 0)]
            return tuple(min(column) for column in zip(*each, strict=True))

        notes = [
            "as counted: what the paper's published code counts, with its standard error over chunks. Compressors get "
            "all 8 bits, and a header is subtracted for each chunk. Models get 7 bits of each byte (a text model as "
            "ASCII through its tokeniser), in one pass, times 8/7; nothing is written or decoded.",
            "bit kept: the same code of a model with the bits that were dropped added, so that it is lossless.",
            "written: all 8 bits, as files (a chunk of a model is a segment of a .cgn file with its frame).",
            "paper: Table 1 of arXiv 2309.10668v2, on 1 GB of the set that it names.",
            "counted, written, decoded: chunks of each set, at least. The chunks written are the first of those "
            "counted, so the columns of a model compare only where the numbers are equal.",
            *self._symbols(records),
            *self._adjustments(rates),
        ]
        columns = ("as counted", "±", "bit kept", "written", "paper")
        heads = ("counted", "written", "decoded")
        caption = "Language models and compressors, % of raw size"
        return self._grid("headline", caption, columns, cells, rates, counts, notes, tail=heads)

    def _symbols(self, records: Sequence[Record]) -> list[str]:
        """Return a sentence for each row that has tokens: how many a chunk has."""
        said = []
        for row in self.rows:
            found = [one for one in records if one["row"] == row.name and "symbols" in one]
            if all(one["symbols"] == one["counted"] for one in found):
                continue
            each = []
            for one in self.sets:
                here = [(r["symbols"], r["counted_chunks"]) for r in found if r["set"] == one.name]
                if here:
                    symbols, chunks = map(sum, zip(*here, strict=True))
                    each.append(f"{one.name} {symbols / chunks:,.0f}")
            said.append(f"{row.name}: tokens of a chunk: {', '.join(each)}.")
        return said

    def _adjustments(self, rates: dict[tuple[str, str, int], Rates]) -> list[str]:
        """Return a sentence for each row that has weights: what they add to its rates."""
        return [
            f"{row.name}: {one.parameters:,} parameters add {100 * one.adjusted(0, PAPER_BYTES):,.1f} points at 1 GB "
            "of data, by the paper's 2 bytes each."
            for row in self.rows
            if (one := rates.get((row.name, self.sets[0].name, self.lengths[-1]))) and one.parameters
        ]

    def _positions(self, records: Sequence[Record]) -> dict[str, dict[str, list[tuple[float, float]]]]:
        """Return for each set, row by row, the (position, rate) of each stretch of the longest chunks, %.

        A stretch ends at its position and begins where the one before ends. As in the paper, 7 bits times 8/7.
        """
        length = self.lengths[-1]
        panels: dict[str, dict[str, list[tuple[float, float]]]] = {one.name: {} for one in self.sets}
        edges = positions(length)
        for one, row in itertools.product(self.sets, self.rows):
            key = one.name, row.name, length
            found = [r for r in records if (r["set"], r["row"], r["length"]) == key and "upto" in r]
            if not found:
                continue
            total = Rates.total(found)
            bits = np.diff(np.sum([r["upto"] for r in found], axis=0), prepend=0)
            sizes = 8 * total.counted_chunks * np.diff(edges, prepend=0)
            scale = total.paper_scale
            panels[one.name][row.name] = [
                (float(edge), 100 * scale * float(rate)) for edge, rate in zip(edges, bits / sizes, strict=True)
            ]
        return panels
