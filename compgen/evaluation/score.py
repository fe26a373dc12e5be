"""The rate of a model on real bytes and, if a compressor is behind the model, the compressor's own rate."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compgen.arguments import as_bytes, checked
from compgen.compressors.base import Compressor
from compgen.display import one_line, surprisal_html, surprisal_legend
from compgen.errors import UsageError
from compgen.models import load
from compgen.models.base import PRECISION, ByteModel
from compgen.models.derived.model import CodeLengthModel
from compgen.models.language import LanguageModel
from compgen.models.mixture import Mixture
from compgen.registry import Spec

_BLOCK = 256
"""Bytes handed to ``State.measure`` at a time. Chosen: few enough for progress to show."""

_LANGUAGE_BLOCK = 2048
"""The same if the model is a language model or a mixture of one. Chosen: the more bytes it reads at once, the fewer and
larger its forwards are."""


@dataclass(frozen=True, eq=False)
class Score:
    """The result of ``score``.

    Attributes:
        model: the model that was scored.
        data: the n bytes that were scored.
        context_bytes: bytes known before them.
        surprisals: (n,) bits, -log2 of each byte's probability.
        own_bpb: the compressor's own rate, (L(context + data) - L(context)) / n, bits per byte, in the windows that
            the model sees; None for a model that is not derived from a compressor.
        code_waste: mean log2 of the sum of 2**-(code-length difference) over all 256 bytes, bits per byte.
        seconds: time taken, without reading the context.
    """

    model: ByteModel
    data: bytes = field(repr=False)
    context_bytes: int
    surprisals: NDArray[np.float64] = field(repr=False)
    own_bpb: float | None
    code_waste: float
    seconds: float

    @property
    def derived_bpb(self) -> float:
        """Mean surprisal, bits per byte: the rate of a coder that uses this distribution."""
        return float(self.surprisals.mean())

    @property
    def own_note(self) -> str:
        """A sentence that says why the own rate is negative; empty where it is not."""
        if self.own_bpb is None or self.own_bpb >= 0:
            return ""
        compressor = self.model.compressor if isinstance(self.model, CodeLengthModel) else self.model
        return (
            f"the own rate is negative: {compressor} codes the context with these {len(self.data)} bytes in fewer bits "
            "than without them, since it chooses its codes for the whole; score more bytes"
        )

    @property
    def bytes_per_second(self) -> float:
        """Number of bytes scored per second."""
        return len(self.data) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.model}: {len(self.data):,} bytes after {self.context_bytes:,}\n{self._rates}\n"
            f"{self.seconds:.2f} s, {self.bytes_per_second:,.0f} bytes/s"
        )

    @property
    def _rates(self) -> str:
        own = "" if self.own_bpb is None else f", own rate {self.own_bpb:.3f}"
        return f"{self.derived_bpb:.3f} bits per byte{own}, code waste {self.code_waste:.3f}"

    def _repr_html_(self) -> str:
        note = f"<p>{html.escape(self.own_note)}</p>" if self.own_note else ""
        spec = html.escape(one_line(str(self.model)))
        text = surprisal_html(self.data, self.surprisals)
        return f"<p><code>{spec}</code>: <b>{self._rates}</b></p>{note}{text}{surprisal_legend()}"


@checked
def score(
    compressor: str | Spec | Compressor | ByteModel,
    data: bytes | str,
    context: bytes | str = b"",
    *,
    rule: str | None = None,
    effort: str | None = None,
    watch: Callable[[int], None] = lambda scored: None,
) -> Score:
    """Return the surprisal of every byte of ``data`` after ``context``, and the rates.

    Args:
        compressor: a spec, a compressor, or a model.
        data: the bytes to score, one or more; text is encoded as UTF-8.
        context: the bytes known before.
        rule: how a compressor becomes a distribution: ``decoder``, ``calibrated`` or ``one-step``. By default
            ``decoder`` where the compressor has a law.
        effort: how much work the calibrated rule does, ``fast`` or ``best``; for compressors without a law.
        watch: called with the number of bytes scored so far.

    Raises:
        UsageError: ``data`` is empty, or the spec is wrong.
        CompgenError: the compressor failed.
    """
    model = load(compressor, rule=rule, effort=effort).resolved()
    data, context = as_bytes(data, "data"), as_bytes(context, "context")
    if not data:
        raise UsageError("there is nothing to score; give at least one byte")
    state = model.start([context])
    since = time.perf_counter()
    surprisals = np.empty(len(data))
    waste = np.empty(len(data))
    symbols = np.frombuffer(data, dtype=np.uint8).reshape(-1, 1)
    # Under a rule over code lengths each byte has a code waste of its own.
    block = 1 if isinstance(model, CodeLengthModel) and model.rule != "decoder" else _BLOCK
    members = model.members if isinstance(model, Mixture) else (model,)
    block = _LANGUAGE_BLOCK if any(isinstance(member, LanguageModel) for member in members) else block
    for begin in range(0, len(data), block):
        end = min(len(data), begin + block)
        waste[begin:end] = state.code_waste()
        surprisals[begin:end] = PRECISION - np.log2(state.measure(symbols[begin:end])[:, 0])
        watch(end)
    seconds = time.perf_counter() - since
    own = own_rate(model, data, context) if isinstance(model, CodeLengthModel) else None
    return Score(model, data, len(context), surprisals, own, float(waste.mean()), seconds)


def own_rate(model: CodeLengthModel, data: bytes, context: bytes) -> float:
    """Return the compressor's own rate on ``data`` after ``context``, bits per byte.

    The data is cut where the model's context window restarts, and each segment is priced in the window that the model
    sees before it.
    """
    rule = model.context_window
    bits, done, window = 0.0, 0, rule.visible(context)
    while done < len(data):
        segment = data[done : done + rule.room(len(window))]
        before, after = model.compressor.code_lengths(window, [b"", segment])
        bits += float(after - before)
        done += len(segment)
        window = rule.visible(window + segment)
    return bits / len(data)
