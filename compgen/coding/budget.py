"""What decoding a file may cost: memory, the time until the first byte, and the bytes that come out.

A file chooses its model and its number of lanes. So a decoder builds the model, which is cheap, and estimates what it
will cost before it starts: ``ByteModel.memory`` and ``ByteModel.start_time``. ``benchmarks/costs.py`` compares the
estimates with measurements.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from compgen.coding.fingerprint import LONGEST_PROBE
from compgen.errors import LimitError, UsageError
from compgen.models import ByteModel
from compgen.models.language import LanguageModel

MEMORY = 1 << 30
"""The most bytes of memory that decoding takes, unless the caller allows more. Part of the format (docs/format.md).
Chosen: every built-in model can decode what it writes by default, and a small machine has as much."""

START = 5.0
"""The most seconds that checking the models that a file chooses takes, on an ordinary core. Chosen: every built-in
model at its defaults takes about a second or less, and nobody should wait longer for a file that may be refused."""

_SEGMENT = 8
"""Bytes of memory for each byte of a segment: its data, its code, and the arrays between the two."""


@dataclass(frozen=True)
class Budget:
    """What the caller accepts that a file costs.

    Attributes:
        memory: the most bytes of memory that decoding may take.
        size: the most bytes that may come out; None for any number.

    Raises:
        UsageError: one of them is not a positive whole number.
    """

    memory: int = MEMORY
    size: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("memlimit", self.memory), ("max_size", self.size)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} must be a whole number of bytes, 1 or more, not {value!r}")

    def check_size(self, size: int) -> None:
        """Check that ``size`` bytes may come out.

        Raises:
            LimitError: they are more than the caller accepts.
        """
        if self.size is not None and size > self.size:
            raise LimitError(
                f"the file holds at least {size:,} bytes, and at most {self.size:,} are accepted; to accept more, "
                f"give --max-size {size}"
            )

    def check_memory(self, model: ByteModel, work: Work, given: bool) -> float:
        """Check that ``model`` may do ``work``, and return the share of the accepted memory that this takes.

        If the model is ``given``, the caller trusts it, and its share is 0. Then the work is checked only if the file
        asks for more lanes than the model uses by itself.

        Raises:
            LimitError: it takes more.
        """
        if given and work.lanes <= (model.most_lanes if isinstance(model, LanguageModel) else 1):
            return 0.0
        needed = work.memory(model)
        if needed > self.memory:
            lanes = f"{work.lanes:,} lane{'s' if work.lanes > 1 else ''}"
            raise LimitError(
                f"to decode '{model}' in {lanes} takes up to {mebibytes(needed):,} MiB of memory, more than the "
                f"{mebibytes(self.memory):,} MiB allowed: to allow it, give --memlimit {mebibytes(needed)}MiB"
            )
        return needed / self.memory


class Starts:
    """The time to check the models that a file chooses. Of several containers, each may choose another model."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._known: set[str] = set()

    def knows(self, spec: str) -> bool:
        """Return whether a container before this one chose ``spec``. Its fingerprint is known then."""
        return spec in self._known

    def add(self, model: ByteModel, spec: str) -> None:
        """Count the start of ``model``, a member of what a container names as ``spec``.

        Raises:
            LimitError: all starts together take too long.
        """
        self._seconds += model.start_time
        if self._seconds > START:
            among = " among others" if self._known - {spec} else ""
            way = "decompress the files that it was joined from one by one" if among else _given(spec)
            raise LimitError(
                f"this file was written with '{spec}'{among}, and no file may choose what takes more than {START:.0f} "
                f"seconds to check: to allow it, {way}"
            )
        self._known.add(spec)


def _given(spec: str) -> str:
    return f"give --compressor {shlex.quote(spec)}"


DEFAULT = Budget()
"""What a caller accepts who names no limit."""


@dataclass(frozen=True)
class Work:
    """The decoding of one segment.

    Attributes:
        lanes: rows of the model's state.
        read: bytes that each row will have read at the end of the segment.
        segment: bytes of the segment.
    """

    lanes: int
    read: int
    segment: int

    @classmethod
    def of_fingerprint(cls, model: ByteModel, lanes: int) -> Work:
        """Return the work of computing the fingerprint of a model for a file of so many lanes, of any version."""
        return cls(1 if model.reproducible else lanes, LONGEST_PROBE, 0)

    def memory(self, model: ByteModel) -> int:
        """Return the bytes of memory that the work takes at most."""
        return model.memory(self.lanes, self.read) + _SEGMENT * self.segment


def wanted_to_decode(model: ByteModel, memory: int) -> list[str]:
    """Return the options of ``decompress`` without which it refuses a file of ``model`` that needs ``memory`` bytes."""
    wanted = [f"--memlimit {mebibytes(memory)}MiB"] if memory > MEMORY else []
    return wanted + ([f"--compressor {shlex.quote(str(model))}"] if model.start_time > START else [])


def mebibytes(size: int) -> int:
    """Return ``size`` bytes in MiB, rounded up."""
    return -(-size // (1 << 20))
