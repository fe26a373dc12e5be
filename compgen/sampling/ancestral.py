"""Ancestral sampling: draw each byte given all bytes before it (Deletang et al. 2024, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compgen.models.allowed import allowed, surprisals, whole
from compgen.sampling.base import Request, Sample, Sampler
from compgen.sampling.repetition import Repetition
from compgen.sampling.shaping import Shaping, draw


@dataclass(frozen=True)
class Ancestral(Sampler):
    """Draws rows in lockstep. Each row has random numbers of its own, so it does not depend on the others.

    Temperature 0 is greedy: it draws evenly from the bytes that tie for the first place. With ``frozen``, the model
    learns from the prompt alone, and not from its own sample, and surprisals are those of the frozen model. A model
    that learns from its own sample drifts: long samples of signals end in noise, or at one level (docs/log.md).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram: int | None = None
    allow: str | None = None
    frozen: bool = False

    name: ClassVar[str] = "ancestral"

    def __post_init__(self) -> None:
        self._shaping()
        self._repetition()
        allowed(self.allow, [b""])

    def _shaping(self) -> Shaping:
        return Shaping(self.temperature, self.top_k, self.top_p, self.min_p)

    def _repetition(self) -> Repetition:
        return Repetition(self.repetition_penalty, self.no_repeat_ngram)

    def draw(self, request: Request) -> list[Sample]:
        """Return one continuation for each row."""
        shaping = self._shaping()
        permitted = allowed(self.allow, request.prompts)
        histories = self._repetition().start(request.prompts)
        state = request.model.start(request.prompts)
        if self.frozen:
            state.freeze()
        generators = [request.generator(row) for row in range(request.samples)]
        made = [bytearray() for _ in generators]
        spent: list[list[float]] = [[] for _ in generators]
        ends = [-1] * request.samples
        held_back = max((len(stop) - 1 for stop in request.stop), default=0)
        shown = 0
        rows = list(range(request.samples))  # samples that have not ended: row i of the state is sample rows[i]
        for step in range(request.length):
            frequencies, mask = state.frequencies(), permitted.mask()
            probabilities = shaping.apply(frequencies, histories.allowed(mask), histories.penalties())
            symbols = draw(probabilities, np.array([generators[row].random() for row in rows]))
            bits = surprisals(frequencies, mask)[np.arange(len(rows)), symbols]
            for row, symbol, surprisal in zip(rows, symbols.tolist(), bits.tolist(), strict=True):
                made[row].append(symbol)
                spent[row].append(surprisal)
                ends[row] = request.stop_position(made[row], step)
            final = ends[0] if ends[0] >= 0 else max(shown, whole(self.allow, made[0]) - held_back)
            request.watch(step + 1, bytes(made[0][shown:final]))
            shown = final
            going = [position for position, row in enumerate(rows) if ends[row] < 0]
            if not going:
                break
            if len(going) < len(rows):
                rows = [rows[position] for position in going]
                state, permitted, symbols = state.fork(going), permitted.fork(going), symbols[going]
                histories = histories.fork(going)
            state.extend(symbols)
            permitted.extend(symbols)
            histories.extend(symbols)
        if ends[0] < 0:
            request.watch(len(made[0]), bytes(made[0][shown : whole(self.allow, made[0])]))
        drawn = [
            Sample(bytes(data), np.array(bits), 1 / request.samples) for data, bits in zip(made, spent, strict=True)
        ]
        return [s.whole(self.allow) if end < 0 else s.cut(end) for s, end in zip(drawn, ends, strict=True)]
