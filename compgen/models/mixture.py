"""Several models as one: a product of experts whose exponents learn as they go (``mixing.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import PRECISION, ByteModel, State
from compgen.models.mixing import WEIGHT_ONE, Mixer
from compgen.models.quantise import log2_units
from compgen.powers import FRACTION
from compgen.registry import Spec, split_mixture
from compgen.types import Frequencies, Rows, Symbols

_RATE = 6_291_456  # well above that of the calibrated rule: there are few weights, and all are always in use
_COMMON_RATE = 65_536
_MOST = 16


def _load_members(specs: str) -> tuple[ByteModel, ...]:
    from compgen.models import load  # whose table of models names this module

    return tuple(load(member) for member in split_mixture(specs))


@dataclass(frozen=True)
class Mixture(ByteModel):
    """A mixture of 2 to 16 models, which reads its members' integer frequencies. Its spec joins theirs by ``+``."""

    members: tuple[ByteModel, ...] = field(metadata={"argument": True, "parse": _load_members})

    name: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        if not 2 <= len(self.members) <= _MOST:
            raise UsageError(f"a mixture has 2 to {_MOST} members, such as gzip+bz2, not '{self}'")

    @property
    def spec(self) -> Spec:
        """``mixture:`` and the members' specs, joined by ``+``."""
        return Spec(self.name, str(self))

    def __str__(self) -> str:
        return "+".join(map(str, self.members))

    def laid_out(self, layout: Layout) -> Mixture:
        """Return the mixture of its members laid out so."""
        return Mixture(tuple(model.laid_out(layout) for model in self.members))

    @property
    def warm_up(self) -> int:
        """Zero: a start begins with even weights over members that have warmed up."""
        return 0

    @property
    def reproducible(self) -> bool:
        """Whether all members are."""
        return all(model.reproducible for model in self.members)

    @property
    def versions(self) -> str:
        """Those of the members."""
        return ", ".join(dict.fromkeys(v for v in (model.versions for model in self.members) if v))

    def behaviour(self, probe: bytes) -> bytes:
        """Return that of the members."""
        return b"".join(model.behaviour(probe) for model in self.members)

    def start(self, prompts: Sequence[bytes]) -> MixtureState:
        """Return a state after ``prompts``."""
        states = [model.start(prompts) for model in self.members]
        even = np.full((1, len(states)), WEIGHT_ONE // len(states), dtype=np.int64)
        return MixtureState(states, [Mixer([even], _RATE, _COMMON_RATE) for _ in prompts])


class MixtureState(State):
    """The members' states, side by side, and a mixer for each row."""

    def __init__(self, states: list[State], mixers: list[Mixer]) -> None:
        self._states = states
        self._mixers = mixers
        self._frequencies: Frequencies | None = None

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._mixers)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies."""
        if self._frequencies is None:
            experts = log2_units(np.stack([state.frequencies() for state in self._states], axis=1))
            experts -= PRECISION << FRACTION
            self._frequencies = np.stack(
                [mixer.mix(row, [0]) for mixer, row in zip(self._mixers, experts, strict=True)]
            )
        return self._frequencies

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, and learn which members to trust."""
        self.frequencies()
        for mixer, symbol in zip(self._mixers, symbols.tolist(), strict=True):
            mixer.learn(symbol)
        for state in self._states:
            state.extend(symbols)
        self._frequencies = None

    def freeze(self) -> None:
        """Keep the weights, and the members', as they are."""
        for state in self._states:
            state.freeze()
        for mixer in self._mixers:
            mixer.rate = mixer.common_rate = 0

    def fork(self, rows: Rows) -> MixtureState:
        """Return a state of the given rows."""
        return MixtureState([state.fork(rows) for state in self._states], [self._mixers[row].fork() for row in rows])
