"""The conformance suites catch a broken mock for each law."""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from compgen.compressors.base import Compressor, ReplayMeter
from compgen.compressors.deflate import Deflate, DeflateMeter
from compgen.errors import CorruptDataError
from compgen.models.base import ByteModel
from compgen.models.uniform import Uniform, UniformState
from compgen.sampling.ancestral import Ancestral
from compgen.sampling.base import Request, Sample
from compgen.testing import check_compressor, check_model, check_sampler
from compgen.types import CodeLengths, Frequencies, Rows, Symbols


@dataclass(frozen=True)
class Good(Compressor):
    """zlib by its one-shot functions, with all defaults of the base class."""

    level: int = 9

    name: ClassVar[str] = "test-good"

    @classmethod
    def version(cls) -> str:
        return "1"

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, self.level)

    def decompress(self, blob: bytes) -> bytes:
        try:
            return zlib.decompress(blob)
        except zlib.error as error:
            raise CorruptDataError(str(error)) from None


def test_the_smallest_compressor_passes() -> None:
    check_compressor(Good())


class Lossy(Good):
    def decompress(self, blob: bytes) -> bytes:
        return super().decompress(blob).replace(b"\xff", b"\xfe")


LEVELS = itertools.cycle([0, 9])


class Unsteady(Good):
    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, next(LEVELS))


class Crashing(Good):
    def decompress(self, blob: bytes) -> bytes:
        return zlib.decompress(blob)


class WrongLength(Good):
    def code_length(self, data: bytes) -> float:
        return super().code_length(data) - 8


class Unrounded(Good):
    def code_length(self, data: bytes) -> float:
        return super().code_length(data) - 1


class WrongBatch(Good):
    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        return super().code_lengths(context, sorted(continuations))


class WrongShape(Good):
    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        return super().code_lengths(context, continuations)[:, None]


class _Forgetful(ReplayMeter):
    def extend(self, data: bytes) -> None:
        if len(data) > 1:
            super().extend(data)


class Forgetful(Good):
    def open(self, context: bytes) -> ReplayMeter:
        return _Forgetful(self, context)


class _Aliased(DeflateMeter):
    def fork(self) -> DeflateMeter:
        return self


class Aliased(Deflate):
    name: ClassVar[str] = "test-aliased"

    def open(self, context: bytes) -> DeflateMeter:
        meter = super().open(context)
        meter.__class__ = _Aliased
        return meter


class _Consuming(DeflateMeter):
    def flushed(self) -> DeflateMeter:
        flushed = super().flushed()
        self.extend(b"!")
        return flushed


class Consuming(Deflate):
    name: ClassVar[str] = "test-consuming"

    def open(self, context: bytes) -> DeflateMeter:
        meter = super().open(context)
        meter.__class__ = _Consuming
        return meter


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Lossy, "undo compress"),
        (Unsteady, "equal bytes"),
        (Crashing, "must raise a CompgenError"),
        (WrongLength, "bits of compress|negative"),
        (Unrounded, "multiples of the resolution"),
        (WrongBatch, "equal code_length"),
        (WrongShape, r"must be \(n,\)"),
        (Forgetful, "extended to the context"),
        (Aliased, "must give the code lengths"),
        (Consuming, "was flushed into a fork"),
    ],
)
def test_a_broken_compressor_is_caught(broken: type[Compressor], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_compressor(broken())


class MockState(UniformState):
    """A model with one bit of memory, the parity of its last byte."""

    def __init__(self, rows: int, last: list[int] | None = None) -> None:
        super().__init__(rows)
        self.last = last or [0] * rows

    def frequencies(self) -> Frequencies:
        frequencies = super().frequencies()
        odd = np.array(self.last) % 2 == 1
        frequencies[odd, 0] += 100
        frequencies[odd, 1] -= 100
        return frequencies

    def extend(self, symbols: Symbols) -> None:
        self.last = symbols.tolist()

    def fork(self, rows: Rows) -> MockState:
        return type(self)(len(rows), [self.last[row] for row in rows])


class HoldsZero(MockState):
    def frequencies(self) -> Frequencies:
        frequencies = super().frequencies()
        frequencies[:, 0] += frequencies[:, 9]
        frequencies[:, 9] = 0
        return frequencies


class WrongSum(MockState):
    def frequencies(self) -> Frequencies:
        return super().frequencies() + 1


class WrongType(MockState):
    def frequencies(self) -> Frequencies:
        return super().frequencies().astype(np.float64)


class Impure(MockState):
    def frequencies(self) -> Frequencies:
        self.last = [last + 1 for last in self.last]
        return super().frequencies()


class AliasedRows(MockState):
    def fork(self, rows: Rows) -> MockState:
        self.last = [self.last[row] for row in rows]
        self._rows = len(rows)
        return self


class DeafForks(MockState):
    """A state whose forks miss their first byte, as those of the calibrated rule once did."""

    deaf = False

    def fork(self, rows: Rows) -> MockState:
        fork = super().fork(rows)
        assert isinstance(fork, DeafForks)
        fork.deaf = True
        return fork

    def extend(self, symbols: Symbols) -> None:
        if not self.deaf:
            super().extend(symbols)
        self.deaf = False


class WrongRows(MockState):
    def fork(self, rows: Rows) -> MockState:
        return super().fork(sorted(rows))


class Deaf(MockState):
    def extend(self, symbols: Symbols) -> None:
        pass


class WrongLocate(MockState):
    def locate(self, points: np.ndarray) -> tuple[Symbols, np.ndarray, np.ndarray]:
        return super().locate(points + 1)


@dataclass(frozen=True)
class MockModel(ByteModel):
    state: type[MockState] = MockState

    name: ClassVar[str] = "test-mock"

    def start(self, prompts: Sequence[bytes]) -> MockState:
        return self.state(len(prompts), [prompt[-1] if prompt else 0 for prompt in prompts])


def test_the_mock_models_pass_where_they_are_whole() -> None:
    check_model(MockModel())
    check_model(Uniform())


@pytest.mark.parametrize(
    ("state", "law"),
    [
        (HoldsZero, "zero"),
        (WrongSum, "sum to"),
        (WrongType, "int64"),
        (Impure, "asking twice"),
        (AliasedRows, "must not change"),
        (WrongRows, "duplicate, reorder and drop"),
        (Deaf, "fresh start"),
        (DeafForks, "by the same bytes"),
        (WrongLocate, "locate"),
    ],
)
def test_a_broken_model_is_caught(state: type[MockState], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_model(MockModel(state))


class Seedless(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return super().draw(replace(request, seed=random.randrange(1 << 30)))


class TooLong(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return super().draw(replace(request, length=request.length + 1))


class Overweight(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return [replace(one, weight=1.0) for one in super().draw(request)]


class Unsurprised(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return [replace(one, surprisals=one.surprisals * 0) for one in super().draw(request)]


class Silent(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return super().draw(replace(request, watch=lambda made, final: None))


class Hasty(Ancestral):
    def draw(self, request: Request) -> list[Sample]:
        return super().draw(replace(request, watch=lambda made, final: request.watch(made, b"\x00")))


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Seedless, "same seed"),
        (TooLong, "bytes were asked for"),
        (Overweight, "sum to 1"),
        (Unsurprised, "must be the model's"),
        (Silent, "progress"),
        (Hasty, "shown as final"),
    ],
)
def test_a_broken_sampler_is_caught(broken: type[Ancestral], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_sampler(broken())
