"""Beam search: the continuations of highest probability that a beam of bounded width finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compgen.sampling.allowed import allowed
from compgen.sampling.base import Request, Sample, Sampler

_TIE = 3  # decimals of a bit: scores that agree so far are ties, and the seed decides between them


@dataclass(frozen=True)
class Beam(Sampler):
    """As many beams as samples are asked for; the most probable comes first."""

    allow: str | None = None

    name: ClassVar[str] = "beam"

    def __post_init__(self) -> None:
        allowed(self.allow, 1)

    def draw(self, request: Request) -> list[Sample]:
        """Return up to ``request.samples`` different continuations: all there are, where there are fewer."""
        generator = request.generator(0)
        permitted = allowed(self.allow, 1)
        state = request.model.start([request.prompt])
        made = [b""]
        surprisals = np.zeros((1, 0))
        for step in range(request.length):
            bits = -state.log2_probs()
            totals = surprisals.sum(axis=1, keepdims=True) + bits
            totals[~permitted.mask(request.length - step)] = np.inf
            scores = np.round(totals.ravel(), _TIE)
            best = np.lexsort((generator.random(len(scores)), scores))[: request.samples]
            best = best[np.isfinite(scores[best])]
            parents, symbols = best // 256, (best % 256).astype(np.uint8)
            surprisals = np.column_stack([surprisals[parents], bits[parents, symbols]])
            made = [made[p] + bytes([s]) for p, s in zip(parents.tolist(), symbols.tolist(), strict=True)]
            state, permitted = state.fork(parents), permitted.fork(parents)
            state.extend(symbols)
            permitted.extend(symbols)
            request.watch(step + 1, b"")
        share = 1 / len(made)
        return [Sample(data, bits, share) for data, bits in zip(made, surprisals, strict=True)]
