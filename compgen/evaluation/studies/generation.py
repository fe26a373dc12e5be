"""The study ``generation``: each compressor and rule continues the same prompts, and its samples are measured.

The paper shows samples and measures none. No single measure says that a sample is good, but together these say what is
wrong with one. A *judge*, another compressor that knows the prompt, spends many bits on noise and few on copies. The
copy rate shows copies. The share of distinct windows shows loops. The divergence of byte counts shows a drift. The same
measures of the real continuation say what a sample should aim at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compgen.compressors import COMPRESSORS, Compressor
from compgen.errors import UsageError
from compgen.evaluation.data import Piece
from compgen.evaluation.figures import Axis, dots
from compgen.evaluation.metrics import copy_rate, distinct, divergence
from compgen.evaluation.score import score
from compgen.evaluation.shards import Record, Shard
from compgen.evaluation.studies.base import Place, Study, chosen, opened
from compgen.evaluation.tables import Cell, Table
from compgen.models import ByteModel, load
from compgen.sampling import sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REAL = "what really came next"
"""Name of the row that measures the real continuation."""
_MEASURES = ("judge", "copied", "distinct", "divergence")
"""Keys of the measures in a record, and their columns in the table."""


@dataclass(frozen=True)
class SampleShard(Shard):
    """Samples of one row after one prompt.

    Attributes:
        id: set, row and number of the prompt.
        set: name of the set.
        row: name of the row.
        spec: spec of the model; empty for the real continuation.
        pieces: the pieces of the prompt and of the real continuation.
        prompt: bytes of the prompt.
        judge: spec of the compressor that judges.
        samples: number of samples to draw.
        seed: seed of the samples.
        gpus: GPUs that the shard needs.
    """

    id: str
    set: str
    row: str
    spec: str
    pieces: tuple[Piece, ...]
    prompt: int
    judge: str
    samples: int
    seed: int
    gpus: int = 0

    @property
    def size(self) -> int:
        """Bytes to draw and measure."""
        return (sum(piece.size for piece in self.pieces) - self.prompt) * self.samples

    def run(self) -> Record:
        """Draw the samples, and measure them."""
        data = b"".join(piece.read() for piece in self.pieces)
        prompt, real = data[: self.prompt], data[self.prompt :]
        record: Record = {
            "id": self.id,
            "set": self.set,
            "row": self.row,
            "data": hashlib.blake2b(data, digest_size=8).hexdigest(),
        }
        drawn = [real]
        if self.spec:
            model = load(self.spec)
            found = sample(model, prompt, length=len(real), samples=self.samples, seed=self.seed, allow="bytes")
            drawn = [one.data for one in found]
            record["own"] = float(np.mean([one.bits_per_byte for one in found]))
            record["real"] = score(model, real, prompt).derived_bpb
            record["samples"] = hashlib.blake2b(b"".join(drawn), digest_size=8).hexdigest()
        before, *after = COMPRESSORS.build(self.judge).code_lengths(prompt, [b"", *drawn])
        return record | {
            "judge": float(np.mean([(bits - before) / len(one) for bits, one in zip(after, drawn, strict=True)])),
            "copied": float(np.mean([copy_rate(one, prompt) for one in drawn])),
            "distinct": float(np.mean([distinct(one) for one in drawn])),
            "divergence": float(np.mean([divergence(one, real) for one in drawn])),
        }


@dataclass(frozen=True)
class Generation(Study):
    """Samples after prompts from each set.

    Attributes:
        prompts: number of prompts from each set, drawn by the seed.
        prompt: bytes of a prompt.
        length: bytes of a sample.
        samples: number of samples after each prompt.
        judge: spec of the compressor that judges.
    """

    prompts: int = 2
    prompt: int = 8192
    length: int = 200
    samples: int = 2
    judge: str = "ppmd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.prompts, self.prompt, self.length, self.samples) < 1:
            raise UsageError("prompts, prompt, length and samples must be 1 or more")
        COMPRESSORS.build(self.judge)

    def build(self, spec: str) -> Compressor | ByteModel:
        """Return the model that a row samples from."""
        return load(spec)

    def _plan(self, place: Place) -> Iterator[Shard]:
        missing = self.missing()
        rows = [(row.name, row.spec, row.sets, row.gpus) for row in self.rows if row.name not in missing]
        for one in self.sets:
            data = opened(one, place.root, self.seed, bool(one.models))
            size = self.prompt + self.length
            numbers = chosen(data.size // size, self.prompts, place.limit, self.seed, one.name)
            if not numbers:
                raise UsageError(
                    f"set '{one.name}' has {data.size} bytes, less than a prompt and what comes next, {size}"
                )
            for name, spec, sets, gpus in [(_REAL, "", (), 0), *rows]:
                for part, number in enumerate(numbers if not sets or one.name in sets else ()):
                    pieces = data.cut(number * size, size)
                    identity = f"{one.name}/{name}/{part}"
                    yield SampleShard(
                        identity, one.name, name, spec, pieces, self.prompt, self.judge, self.samples, self.seed, gpus
                    )

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return a table for each set, with means over its prompts."""
        made = []
        missing = self.missing()
        for one in self.sets:
            lines: list[tuple[Cell, ...]] = []
            for name in (_REAL, *(row.name for row in self.rows if row.name not in missing)):
                found = [record for record in records if (record["set"], record["row"]) == (one.name, name)]
                if found:
                    lines.append((name, *(_mean(found, measure) for measure in ("own", "real", *_MEASURES))))
            prompts = sum((record["set"], record["row"]) == (one.name, _REAL) for record in records)
            notes = [
                f"{self.samples} samples of {self.length} bytes after each of {prompts} prompts of {self.prompt:,}.",
                "own: bits per byte of the samples under the model itself; real: of what really came next.",
                f"judge: bits per byte that {self.judge}, which knows the prompt, needs for the samples.",
                "copied: share of 16-byte windows that stand in the prompt; distinct: of 4-byte windows that differ.",
                "divergence: Jensen-Shannon, bits, of the samples' byte counts and those of what really came next.",
                *(f"{row} is not installed: {reason}" for row, reason in missing.items()),
            ]
            columns = ("model", "own", "real", *_MEASURES)
            made.append(Table(f"generation-{one.name}", f"{one.name}: samples", columns, lines, places=2, notes=notes))
        return made

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return the rates of samples under the model and under the judge, by set."""
        panels: dict[str, dict[str, dict[str, float]]] = {}
        for record in records:
            row = panels.setdefault(record["set"], {}).setdefault(record["row"], {})
            found = [one for one in records if (one["set"], one["row"]) == (record["set"], record["row"])]
            for kind, key in ((f"judged by {self.judge}", "judge"), ("by the model itself", "own")):
                value = _mean(found, key)
                if value is not None:
                    row[kind] = value
        return {"generation": dots(panels, Axis("rate of samples, bits per byte"))}


def _mean(records: Sequence[Record], key: str) -> float | None:
    values = [record[key] for record in records if key in record]
    return float(np.mean(values)) if values else None
