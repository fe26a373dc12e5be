"""The study ``tokenisation``: bytes against tokens for networks of several sizes (paper, section on tokenisation).

A tokeniser is a compressor before the compressor. With it, a context window of as many symbols holds more text, and a
pass over the text takes fewer steps. In return, the embedding tables grow, and each prediction is among more symbols.
Vocabularies are byte-level BPE, trained on the networks' training text. All networks are measured in bits per byte of
held-out text. Each chunk is coded as a file would hold it, by the chunk's canonical tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.errors import UsageError
from compgen.evaluation.figures import Axis, Points, curves
from compgen.evaluation.shards import Record, Shard
from compgen.evaluation.studies.base import Place, opened
from compgen.evaluation.studies.trained import Network, Trained
from compgen.evaluation.tables import Cell, Table
from compgen.training.config import BYTES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Tokenisation(Trained):
    """Networks of several sizes with several vocabularies, all trained on the same amount of text.

    Attributes:
        vocabularies: sizes of the vocabularies, tokens; 256 stands for bytes. The defaults beside it are the paper's.
    """

    vocabularies: tuple[int, ...] = (BYTES, 1000, 2000, 5000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.vocabularies or min(self.vocabularies) < BYTES:
            raise UsageError(f"vocabularies must be {BYTES}, for bytes, or more tokens")

    def _grid(self) -> Iterator[tuple[Network, int, str]]:
        """Yield each network with each size of vocabulary, and the name of the pair."""
        for network in self.networks:
            for size in self.vocabularies:
                yield network, size, f"{network.name}-{size}"

    def _plan(self, place: Place) -> Iterator[Shard]:
        missing = self.missing()
        data, other = (opened(one, place.root, self.seed, False) for one in self.sets)
        held_out = self.sets[1]
        for network, size, name in self._grid():
            if network.name not in missing:
                model = dataclasses.replace(network.model, vocabulary=size)
                named = dataclasses.replace(network, name=name, model=model)
                yield self._trained(named, name, self.sets[0].name, data, [(held_out, other)], place)
        for row in self.rows:
            if row.name not in missing:
                yield from self._shards(held_out, other, row, self.length, place.limit)

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return bits per byte, and the parameters and compute they cost, by network and vocabulary."""
        found, plain = self.trained(records), self.plain(records)
        train, held_out = (one.name for one in self.sets)
        lines: list[tuple[Cell, ...]] = []
        size = seen = 0
        for network, vocabulary, name in self._grid():
            if (name, train) not in found:
                continue
            training, rates = found[name, train]
            rate, size = rates[held_out], int(training["bytes"])
            seen = max(seen, round(training["symbols"] * training["bytes_per_symbol"]))
            tables = 2 * network.model.width * (training["vocabulary"] + 1)  # of symbols: in and out
            computed = 6 * (rate.parameters - tables // 2) * training["symbols"] / 1e12
            lines.append(
                (
                    network.name,
                    "bytes" if vocabulary == BYTES else f"BPE {training['vocabulary']:,}",
                    rate.parameters,
                    rate.parameters - tables,
                    float(training["bytes_per_symbol"]),
                    computed,
                    8 * rate.ideal,
                    8 * rate.honest,
                    100 * rate.honest,
                    100 * rate.adjusted(rate.honest, size),
                )
            )
        for row in self.rows:
            if (row.name, held_out) in plain:
                rate = plain[row.name, held_out]
                ideal = 8 * rate.ideal if rate.bits else None
                rest = (8 * rate.honest, 100 * rate.honest, 100 * rate.adjusted(rate.honest, max(1, size)))
                lines.append((row.name, "", rate.parameters or None, None, None, None, ideal, *rest))
        notes = [
            f"Equal data: each training goes through {seen:,} bytes of {train} ({size:,} bytes, drawn with "
            f"repetition), in windows of as many symbols each, seed {self.seed}; vocabularies are of the same text.",
            "TFLOP: of the training, 6 for each symbol and each parameter but the table of symbols read.",
            f"-log2 p and written: bits per byte of {held_out}, in chunks of {self.length:,} bytes, on a sample of "
            f"at most {self.measured:,}; written with a frame for each chunk.",
            f"adjusted: written, and 2 bytes for each parameter over the {size:,} bytes that were trained on.",
            *(f"{row} is not installed: {reason}" for row, reason in self.missing().items()),
        ]
        groups = ("", "", *("parameters",) * 2, "", "", *("bits per byte",) * 2, *("% of raw size",) * 2)
        heads = (
            "network",
            "vocabulary",
            "all",
            "body",
            "bytes/symbol",
            "TFLOP",
            "-log2 p",
            "written",
            "raw",
            "adjusted",
        )
        caption = f"Bytes and tokens: rates on {held_out}, which no network has seen"
        return [Table("tokenisation", caption, heads, lines, groups, places=2, labels=2, notes=notes)]

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return bits per byte over the size of the vocabulary, with a curve for each network."""
        found = self.trained(records)
        train, held_out = (one.name for one in self.sets)
        panel: dict[str, Points] = {}
        for network in self.networks:
            points = []
            for one, _, name in self._grid():
                if one == network and (name, train) in found:
                    training, rates = found[name, train]
                    points.append((float(training["vocabulary"]), 8 * rates[held_out].ideal))
            if points:
                panel[network.name] = points
        return {
            "tokenisation": curves(
                {held_out: panel}, Axis("vocabulary, symbols (256: bytes)", 2), Axis("-log2 p, bits per byte")
            )
        }
