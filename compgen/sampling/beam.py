"""Beam search: the most probable continuations that a beam of bounded width finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from compgen.models.allowed import allowed, surprisals
from compgen.sampling.base import Request, Sample, Sampler
from compgen.sampling.repetition import Repetition
from compgen.sampling.shaping import level, nothing_left

_TIE = 6
"""Decimals of a bit to which totals are compared. Equal ones tie, and the seed decides. Chosen."""


@dataclass(frozen=True)
class Beam(Sampler):
    """Keeps as many beams as there are samples, and returns the most probable one first.

    A beam that a stop string ends is set aside. Its rank is by the probability of all its bytes, with the stop string.
    A repetition penalty takes its bits from a beam's log-probability, in the search alone.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram: int | None = None
    allow: str | None = None

    name: ClassVar[str] = "beam"

    def __post_init__(self) -> None:
        self._repetition()
        allowed(self.allow, [b""])

    def _repetition(self) -> Repetition:
        return Repetition(self.repetition_penalty, self.no_repeat_ngram)

    def draw(self, request: Request) -> list[Sample]:
        """Return ``request.samples`` different continuations, or all that there are if there are fewer."""
        generator = request.generator(0)
        permitted = allowed(self.allow, [request.prompt])
        histories = self._repetition().start([request.prompt])
        state = request.model.start([request.prompt])
        made = [b""]
        spent = np.zeros((1, 0))
        totals = np.zeros(1)
        ended: dict[bytes, tuple[float, Sample]] = {}
        for step in range(request.length):
            frequencies, mask = state.frequencies(), permitted.mask()
            bits = surprisals(frequencies, mask)
            scores = totals[:, None] + surprisals(level(frequencies), mask)
            if (penalties := histories.penalties()) is not None:
                scores += penalties
            scores[~histories.allowed(mask)] = np.inf
            ranked = np.round(scores.ravel(), _TIE)
            best = np.lexsort((generator.random(len(ranked)), ranked))[: request.samples]
            best = best[np.isfinite(ranked[best])]
            if not len(best) and not ended:
                raise nothing_left()
            parents, symbols = best // 256, (best % 256).astype(np.uint8)
            totals = scores.ravel()[best]
            spent = np.column_stack([spent[parents], bits[parents, symbols]])
            made = [made[p] + bytes([s]) for p, s in zip(parents.tolist(), symbols.tolist(), strict=True)]
            going = []
            for row, data in enumerate(made):
                end = request.stop_position(data, step)
                if end < 0:
                    going.append(row)
                else:
                    sample = Sample(data, spent[row], 1.0).cut(end)
                    ended.setdefault(sample.data, (float(totals[row]), sample))
            request.watch(step + 1, b"")
            made, spent, totals = [made[row] for row in going], spent[going], totals[going]
            if not going:
                break
            state, permitted = state.fork(parents[going]), permitted.fork(parents[going])
            state.extend(symbols[going])
            permitted.extend(symbols[going])
            histories = histories.fork(parents[going])
            histories.extend(symbols[going])
        alive = [Sample(data, bits, 1.0).whole(self.allow) for data, bits in zip(made, spent, strict=True)]
        order = sorted([*zip(totals.tolist(), alive, strict=True), *ended.values()], key=lambda pair: pair[0])
        different = {one.data: one for _, one in reversed(order)}  # beams may differ in a dropped character alone
        found = [one for _, one in order if different[one.data] is one][: request.samples]
        return [replace(one, weight=1 / len(found)) for one in found]
