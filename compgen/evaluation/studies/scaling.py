"""Model size against data size: the paper's Figure 2. A model must be worth its own weight.

The rate of each model is measured; what adjusted rates it gives follows for any amount of data. The larger the data,
the larger the model that pays: adjusted rates over size are U-shaped, where the grid reaches far enough to both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.errors import UsageError
from compgen.evaluation.accounting import Rates
from compgen.evaluation.figures import Axis, curves
from compgen.evaluation.shards import Record
from compgen.evaluation.studies.base import Study
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scaling(Study):
    """Rows of several sizes, those without weights for comparison, all at chunks of one length.

    Attributes:
        data_bytes: sizes of data that adjusted rates are given for.
    """

    data_bytes: tuple[int, ...] = (10**7, 10**8, 10**9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.lengths) != 1 or not self.data_bytes or min(self.data_bytes) < 1:
            raise UsageError("a scaling study needs one length, and data_bytes of 1 or more")

    def _found(self, records: Sequence[Record], name: str) -> list[tuple[str, Rates]]:
        """Return the rows of a set that were run, by the size of their models."""
        rates = self.rates(records)
        keys = [(row.name, name, self.lengths[0]) for row in self.rows]
        return sorted(((key[0], rates[key]) for key in keys if key in rates), key=lambda pair: pair[1].parameters)

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return adjusted rates by row and data size, and the best row for each."""
        made = []
        notes = [f"{row} is missing: {reason}" for row, reason in self.missing().items()]
        notes.append("Adjusted: the honest rate, and 2 bytes for each parameter over the bytes of data.")
        sizes = [f"{size / 1e6:,g} MB" for size in self.data_bytes]
        for one in self.sets:
            found = self._found(records, one.name)
            lines: list[tuple[Cell, ...]] = [
                (
                    name,
                    r.parameters,
                    r.chunks,
                    100 * r.honest,
                    *(100 * r.adjusted(r.honest, n) for n in self.data_bytes),
                )
                for name, r in found
            ]
            best = [min(found, key=lambda pair: pair[1].adjusted(pair[1].honest, n))[0] for n in self.data_bytes]
            lines.append(("best", None, None, None, *best))
            heads = ("row", "parameters", "chunks", "raw", *sizes)
            groups = ("", "", "", "", *("adjusted, for" for _ in sizes))
            caption = f"{one.name}: raw and adjusted rates, % of raw size"
            made.append(Table(f"scaling-{one.name}", caption, heads, lines, groups, notes=notes))
        return made

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return adjusted rates over parameters, a curve for each data size, as the paper's Figure 2 has them."""
        panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for one in self.sets:
            large = [(name, r) for name, r in self._found(records, one.name) if r.parameters]
            panels[one.name] = {
                f"{size / 1e6:,g} MB": [(float(r.parameters), 100 * r.adjusted(r.honest, size)) for _, r in large]
                for size in self.data_bytes
                if large
            }
        return {"scaling": curves(panels, Axis("parameters", 10), Axis("adjusted rate, % of raw size", 10))}
