"""Several models as one: mixed bit by bit, with weights that learn as they go (``bit_mixing.py``).

The mixer gains most where members know different things, but it takes bytes to learn, and one that has begun badly may
stay behind a member for kilobytes. So its mix and the members themselves compete (``tracking.py``): over any text, a
mixture of E members costs at most about log2(E + 1) bits more than the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.base import ALPHABET, ByteModel, State, of_symbols
from compgen.models.bit_mixing import WEIGHT_ONE, BitMixer
from compgen.models.tracking import Tracker
from compgen.registry import Spec, split_mixture
from compgen.types import Frequencies, Rows, Symbols

_MIXER_TIME = 1e-4
"""Seconds that mixing takes for a byte without compiled loops, an estimate."""

_RATE, _FIRST = 800, 8000
"""The mixer's learning rate, and what is added to it at first (see ``BitMixer``), units of 2**-16. Both are divided by
the square of the number of members: those that agree step together, each from a weight of 1 over their number.
Chosen on windows of three texts, records and photographs, for two members and for five; docs/log.md has the rates."""
_MOST_MEMBERS = 16
"""Chosen: bounds what the spec in a file can make a decoder load."""


def members_of(specs: str) -> list[str]:
    """Return the specs of a mixture's members from its own.

    Raises:
        UsageError: there are too few or too many.
    """
    members = split_mixture(specs)
    if not 2 <= len(members) <= _MOST_MEMBERS:
        raise UsageError(f"a mixture has 2 to {_MOST_MEMBERS} members, such as gzip+bz2, not '{specs}'")
    return members


@dataclass(frozen=True)
class Mixture(ByteModel):
    """A mixture of 2 to 16 models. It reads its members' integer frequencies, and its spec joins theirs by ``+``."""

    members: tuple[ByteModel, ...] = field(metadata={"argument": True})

    name: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        members_of(str(self))

    @property
    def spec(self) -> Spec:
        """The name ``mixture`` with the members' specs, joined by ``+``, as its argument."""
        return Spec(self.name, str(self))

    def __str__(self) -> str:
        return "+".join(map(str, self.members))

    def resolved(self, rule: str = "") -> Mixture:
        """Return the mixture with every member's rule named; see ``ByteModel.resolved``."""
        return Mixture(tuple(model.resolved(rule) for model in self.members))

    def laid_out(self, layout: Layout) -> Mixture:
        """Return the mixture of its members for bytes with ``layout``."""
        return Mixture(tuple(model.laid_out(layout) for model in self.members))

    @property
    def warm_up(self) -> int:
        """0: a start gives even weights to members that have warmed up on their own."""
        return 0

    @property
    def reproducible(self) -> bool:
        """Whether all members are reproducible."""
        return all(model.reproducible for model in self.members)

    @property
    def versions(self) -> str:
        """The versions of the members, each once."""
        return ", ".join(dict.fromkeys(v for v in (model.versions for model in self.members) if v))

    @property
    def start_time(self) -> float:
        """The sum of the members'."""
        return sum(model.start_time for model in self.members)

    @property
    def byte_time(self) -> float | None:
        """The sum of the members', and of the mixer's."""
        times = [model.byte_time for model in self.members]
        return None if None in times else _MIXER_TIME + sum(time for time in times if time is not None)

    @property
    def compiled_gain(self) -> float:
        """The mean of the members' and of the mixer's, each by the time that it takes compiled."""
        times = [(model.byte_time or 0.0, model.compiled_gain) for model in self.members]
        times.append((_MIXER_TIME, super().compiled_gain))
        return sum(time for time, _ in times) / sum(time / gain for time, gain in times)

    def memory(self, rows: int, length: int) -> int:
        """Return the sum of the members'; see ``ByteModel.memory``."""
        return sum(model.memory(rows, length) for model in self.members)

    def behaviour(self, probe: bytes) -> bytes:
        """Return the members' behaviours, one after the other."""
        return b"".join(model.behaviour(probe) for model in self.members)

    def start(self, prompts: Sequence[bytes]) -> MixtureState:
        """Return a state after ``prompts``."""
        states = [model.start(prompts) for model in self.members]
        rates = _RATE // len(states) ** 2, _FIRST // len(states) ** 2
        # Half of the weight is the same at all nodes, so that it learns from every bit.
        half = WEIGHT_ONE // len(states) // 2
        even = np.full((256, len(states)), half, dtype=np.int64), np.full((1, len(states)), half, dtype=np.int64)
        mixers = [BitMixer(even, *rates) for _ in prompts]
        return MixtureState(states, mixers, [Tracker(len(states) + 1) for _ in prompts])


class MixtureState(State):
    """The members' states, and for each row a mixer, and a tracker of the best among the members and the mix."""

    def __init__(self, states: list[State], mixers: list[BitMixer], trackers: list[Tracker]) -> None:
        self._states = states
        self._mixers = mixers
        self._trackers = trackers
        self._frequencies: Frequencies | None = None

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._mixers)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies."""
        if self._frequencies is None:
            self._frequencies = self._mixed([state.frequencies() for state in self._states])
        return self._frequencies

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row. The mixers and the trackers learn which members predicted it."""
        self.frequencies()
        self._learn(symbols)
        for state in self._states:
            state.extend(symbols)

    def read(self, symbols: NDArray[np.uint8]) -> Frequencies:
        """Extend each row by T known bytes, and return the frequencies before each, (T, B, 256), as members read."""
        members = [state.read(symbols) for state in self._states]
        found = np.empty((*symbols.shape, ALPHABET), dtype=np.int64)
        for step, column in enumerate(symbols):
            found[step] = self._mixed([frequencies[step] for frequencies in members])
            self._learn(column)
        return found

    def measure(self, symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Extend each row by T known bytes, and return their frequencies, (T, B); see ``read``."""
        return of_symbols(self.read(symbols), symbols)

    def _mixed(self, members: Sequence[Frequencies]) -> Frequencies:
        """Return (B, 256) frequencies for those of the members, (B, 256) each."""
        found = []
        for row, (mixer, tracker) in enumerate(zip(self._mixers, self._trackers, strict=True)):
            shares = np.stack([frequencies[row] for frequencies in members])
            found.append(tracker.mix(np.vstack((shares, mixer.mix(shares, [0])))))
        return np.stack(found)

    def _learn(self, symbols: Symbols) -> None:
        """Let mixers and trackers learn from ``symbols``, (B,), which followed the last mix."""
        for mixer, tracker, symbol in zip(self._mixers, self._trackers, symbols.tolist(), strict=True):
            mixer.learn(symbol)
            tracker.learn(symbol)
        self._frequencies = None

    def freeze(self) -> None:
        """Stop learning in the mixers, the trackers and the members."""
        for state in self._states:
            state.freeze()
        for mixer, tracker in zip(self._mixers, self._trackers, strict=True):
            mixer.freeze()
            tracker.freeze()

    def fork(self, rows: Rows) -> MixtureState:
        """Return an independent state of the given rows."""
        mixers, trackers = [self._mixers[row].fork() for row in rows], [self._trackers[row].fork() for row in rows]
        return MixtureState([state.fork(rows) for state in self._states], mixers, trackers)
