"""The study ``scaling``: size of the model against amount of data (the paper's Figure 2).

Each network is trained anew on each amount of data, and codes that data. The receiver needs the weights and the code,
so the adjusted rate counts both; a network may profit from having seen the data, since its weights are paid for.
Adjusted rates over the size of the network are U-shaped, if the grid of sizes is wide enough, and the bottom moves to
larger networks with more data. The rate on held-out data, without weights, shows what was learnt beyond the training
data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.errors import UsageError
from compgen.evaluation.accounting import Rates
from compgen.evaluation.figures import Axis, Points, curves
from compgen.evaluation.shards import Record, Shard
from compgen.evaluation.studies.base import Place, opened
from compgen.evaluation.studies.trained import Trained
from compgen.evaluation.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scaling(Trained):
    """Networks of several sizes, each trained on several amounts of data.

    Attributes:
        data_bytes: the amounts. Each is a number of bytes at the beginning of the first set, which are trained on and
            coded. If the set is shorter, all of it is, and the adjusted rate counts as if there were more of the same.
    """

    data_bytes: tuple[int, ...] = (10**7, 10**8, 10**9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data_bytes or min(self.data_bytes) < self.length:
            raise UsageError(f"data_bytes must be {self.length} or more, a chunk")

    def _part(self, size: int) -> str:
        return f"{self.sets[0].name}, {size:,} bytes"

    def _plan(self, place: Place) -> Iterator[Shard]:
        missing = self.missing()
        whole, other = (opened(one, place.root, self.seed, False) for one in self.sets)
        held_out = self.sets[1]
        rows = [row for row in self.rows if row.name not in missing]
        networks = [network for network in self.networks if network.name not in missing]
        for size in self.data_bytes:
            data, part = whole.first(size), dataclasses.replace(self.sets[0], name=self._part(size))
            for row in rows:
                yield from self._shards(part, data, row, self.length, place.limit)
            for network in networks:
                measured = [(part, data), (held_out, other)]
                yield self._trained(network, f"{network.name}-{size}", part.name, data, measured, place)
        for row in rows:
            yield from self._shards(held_out, other, row, self.length, place.limit)

    def _found(self, records: Sequence[Record]) -> dict[str, dict[int, tuple[Rates, Rates]]]:
        """Return (rates of the training data, of held-out data) by row and bytes of data; networks first, by size."""
        held_out = self.sets[1].name
        trained, plain = self.trained(records), self.plain(records)
        found: dict[str, dict[int, tuple[Rates, Rates]]] = {}
        for size in self.data_bytes:
            part = self._part(size)
            for network in self.networks:
                if (network.name, part) in trained:
                    _, rates = trained[network.name, part]
                    found.setdefault(network.name, {})[size] = rates[part], rates[held_out]
        found = dict(sorted(found.items(), key=lambda item: next(iter(item[1].values()))[0].parameters))
        for row in self.rows:
            if (row.name, held_out) in plain:
                found[row.name] = {
                    n: (plain[row.name, self._part(n)], plain[row.name, held_out]) for n in self.data_bytes
                }
        return found

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return raw, adjusted and held-out rates by network and bytes of data, and the best for each amount."""
        found = self._found(records)
        lines: list[tuple[Cell, ...]] = []
        for name, sizes in found.items():
            cells: list[Cell] = []
            for n, (own, held_out) in sizes.items():
                cells += [100 * own.honest, 100 * own.adjusted(own.honest, n), 100 * held_out.honest]
            lines.append((name, next(iter(sizes.values()))[0].parameters or None, *cells))
        for label, names in (("best network", [one.name for one in self.networks]), ("best of all", list(found))):
            best: list[Cell] = []
            for n in self.data_bytes:
                rates = {name: found[name][n][0] for name in names if name in found}
                best += [None, min(rates, key=lambda k: rates[k].adjusted(rates[k].honest, n), default=None), None]
            lines.append((label, None, *best))
        trainings = [one for one, _ in self.trained(records).values()]
        steps, seen = (" or ".join(dict.fromkeys(f"{one[key]:,}" for one in trainings)) for key in ("steps", "symbols"))
        notes = [
            f"Each network was trained on the first bytes of {self.sets[0].name} alone, "
            f"{steps or 'no'} steps of {self.training.batch} windows ({seen or 'no'} bytes, drawn with repetition), "
            f"seed {self.seed}.",
            f"raw: of that data, in chunks of {self.length:,} bytes, on a sample of at most {self.measured:,}; "
            "as written, a segment with its frame for each chunk.",
            "adjusted: with 2 bytes for each parameter, over the bytes of data; which is what the weights take as "
            "shipped, in bfloat16.",
            f"held out: raw, of {self.sets[1].name}, which no network has seen.",
            *(f"{row} is not installed: {reason}" for row, reason in self.missing().items()),
        ]
        parts = [f"{n:,} bytes" for n in self.data_bytes]
        groups = ("", "", *(part for part in parts for _ in range(3)))
        heads = ("row", "parameters", *("raw", "adjusted", "held out") * len(parts))
        caption = f"{self.sets[0].name}: rates by size of network and of data, % of raw size"
        return [Table("scaling", caption, heads, lines, groups, notes=notes)]

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return adjusted rates over parameters (the paper's Figure 2), and adjusted rates over bytes of data."""
        found = self._found(records)
        large = {name: sizes for name, sizes in found.items() if next(iter(sizes.values()))[0].parameters}
        over_size: dict[str, Points] = {
            f"{n:,} bytes": [
                (float(sizes[n][0].parameters), 100 * sizes[n][0].adjusted(sizes[n][0].honest, n))
                for sizes in large.values()
            ]
            for n in self.data_bytes
            if large
        }
        over_data: dict[str, Points] = {
            name: [(float(n), 100 * own.adjusted(own.honest, n)) for n, (own, _) in sizes.items()]
            for name, sizes in found.items()
        }
        title, rate = f"{self.sets[0].name}, its first", Axis("adjusted rate, % of raw size", 10)
        return {
            "scaling": curves({title: over_size}, Axis("parameters", 10), rate),
            "scaling-data": curves({self.sets[0].name: over_data}, Axis("bytes of data", 10), rate),
        }
