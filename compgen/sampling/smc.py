"""Sequential Monte Carlo over whole continuations w, with the target 2**(-L(context w) / T) over those allowed.

The one-step distribution normalises at every byte, but the compressor's own preference is over whole continuations.
The model proposes particles, and the compressor's code lengths weight them. The more particles, the closer their
weighted distribution comes to the target (Del Moral, Doucet and Jasra 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.models.allowed import allowed, surprisals
from compgen.sampling.base import Request, Sample, Sampler
from compgen.sampling.repetition import Repetition
from compgen.sampling.shaping import Shaping, draw

_COLDEST = 0.01
"""The lowest temperature. Chosen: weights are 2**(bits / temperature), and must not overflow."""


@dataclass(frozen=True)
class SequentialMonteCarlo(Sampler):
    """Draws as many particles as there are samples, and returns them with their weights, the heaviest first.

    Particles are resampled systematically whenever the effective sample size, 1 / sum(weight**2), falls below
    ``threshold`` times their number. ``temperature`` is the T of the target. A repetition penalty lengthens the code of
    a continuation, L, by its bits.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    repetition_penalty: float = 1.0
    no_repeat_ngram: int | None = None
    allow: str | None = None

    name: ClassVar[str] = "smc"

    def __post_init__(self) -> None:
        Shaping(self.temperature)
        if self.temperature < _COLDEST:
            raise UsageError(f"smc needs a temperature of {_COLDEST} or more; for the best continuations use beam")
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"smc:threshold must be between 0 and 1, not {self.threshold}")
        self._repetition()
        allowed(self.allow, [b""])

    def _repetition(self) -> Repetition:
        return Repetition(self.repetition_penalty, self.no_repeat_ngram)

    def draw(self, request: Request) -> list[Sample]:
        """Return the particles as samples, the heaviest first."""
        generator = request.generator(0)
        shaping = Shaping(self.temperature)
        count = request.samples
        permitted = allowed(self.allow, request.prompts)
        histories = self._repetition().start([request.prompt] * count)
        state = request.model.start([request.prompt] * count)
        made = np.zeros((count, 0), dtype=np.uint8)
        spent = np.zeros((count, 0))
        log2_weights = np.zeros(count)
        for step in range(request.length):
            frequencies, mask, penalties = state.frequencies(), permitted.mask(), histories.penalties()
            proposal = shaping.apply(frequencies, histories.allowed(mask), penalties)
            symbols = draw(proposal, generator.random(count))
            rows = np.arange(count)
            added = state.added_lengths(symbols) + (0 if penalties is None else penalties[rows, symbols])
            log2_weights -= added / self.temperature
            log2_weights -= np.log2(proposal[rows, symbols])
            made = np.column_stack([made, symbols])
            spent = np.column_stack([spent, surprisals(frequencies, mask)[rows, symbols]])
            state.extend(symbols)
            permitted.extend(symbols)
            histories.extend(symbols)
            weights = normalised(log2_weights)
            if 1 / np.square(weights).sum() < self.threshold * count and step + 1 < request.length:
                ancestors = systematic(weights, float(generator.random()))
                made, spent = made[ancestors], spent[ancestors]
                state, permitted = state.fork(ancestors), permitted.fork(ancestors)
                histories = histories.fork(ancestors)
                log2_weights = np.zeros(count)
            request.watch(step + 1, b"")
        weights = normalised(log2_weights)
        return [
            Sample(made[i].tobytes(), spent[i], float(weights[i])).whole(self.allow)
            for i in np.argsort(-weights, kind="stable")
        ]


def normalised(log2_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) weights that sum to one."""
    weights: NDArray[np.float64] = np.exp2(log2_weights - log2_weights.max())
    return weights / float(weights.sum())


def systematic(weights: NDArray[np.float64], uniform: float) -> NDArray[np.intp]:
    """Return (n,) ancestors by systematic resampling: row i comes n * weights[i] times, to within one."""
    count = len(weights)
    points = (np.arange(count) + uniform) / count
    found = np.searchsorted(np.cumsum(weights), points, side="right")
    return np.minimum(found, count - 1)
