"""How samples show themselves: as three lines where they are printed, and as text, picture or player in a notebook."""

# ruff: noqa: D102 - what a protocol asks for is explained in the class that has it
from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compgen.display import one_line, readable, surprisal_html, surprisal_legend
from compgen.media.audio import Audio
from compgen.media.base import Medium
from compgen.media.image import Image
from compgen.media.listening import levelled

_LINE = 100
"""Characters of a sample that are printed. Chosen: a line of a terminal."""
_BEFORE = 80
"""Bytes of a prompt that are shown before a sample of text. Chosen: where the sample begins can be read."""
_WIDE = 320
"""Pixels of the screen that small pictures are enlarged to, by a whole number. Chosen: half a notebook."""


class Sample(Protocol):
    """What is shown of a sample: ``compgen.sampling.base.Sample``, which uses this module."""

    @property
    def data(self) -> bytes: ...
    @property
    def surprisals(self) -> NDArray[np.float64]: ...
    @property
    def weight(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def bits(self) -> float: ...
    @property
    def bits_per_byte(self) -> float | None: ...


class Samples(Protocol):
    """What is shown of samples: ``compgen.sampling.base.Samples``."""

    @property
    def drawn(self) -> Sequence[Sample]: ...
    @property
    def model(self) -> object: ...
    @property
    def sampler(self) -> object: ...
    @property
    def seed(self) -> int: ...
    @property
    def given(self) -> Sequence[bytes]: ...
    @property
    def medium(self) -> Medium | None: ...


def rate(sample: Sample) -> str:
    """Return the length and the rate of a sample in words."""
    count = f"{len(sample.data):,} byte{'s' * (len(sample.data) != 1)}"
    return count if sample.bits_per_byte is None else f"{count}, {sample.bits_per_byte:.3f} bits per byte"


def line(sample: Sample, medium: Medium | None = None) -> str:
    """Return what a sample holds, in one line."""
    if isinstance(medium, Image) and medium.width:
        return f"{medium.width} x {-(-len(sample.data) // medium.layout.stride)} pixels"
    if isinstance(medium, Audio):
        return f"{len(sample.data) / medium.layout.pixel / medium.rate:.2f} s of sound at {medium.rate:,} Hz"
    text = one_line(sample.text)
    return text if len(text) <= _LINE else text[: _LINE - 2] + " …"


def printed(samples: Samples) -> str:
    """Return three lines: what draws the samples again, their rates, and the first of them."""
    drawn, first = samples.drawn, samples.drawn[0]
    rates = rate(first)
    if len(drawn) > 1:
        mean = sum(one.bits for one in drawn) / max(sum(len(one.data) for one in drawn), 1)
        rates = f"{len(drawn)} samples, {mean:.3f} bits per byte; the first, {len(first.data):,} bytes:"
    return f"{samples.model}, {samples.sampler}, seed {samples.seed}\n{rates}\n{line(first, samples.medium)}"


def page(samples: Samples) -> str:
    """Return the samples as HTML, one after the other, with what draws them again and a legend."""
    told = f"{samples.model}, {samples.sampler}, seed {samples.seed}"
    parts = [f"<p><code>{html.escape(one_line(told))}</code></p>"]
    if isinstance(samples.medium, Image) and len(samples.given) > 1:
        parts.append(_picture(samples.medium, samples.given, [one.data for one in samples.drawn]))
        return "".join(parts)
    count = len(samples.drawn)
    for number, sample in enumerate(samples.drawn):
        given = samples.given[number if number < len(samples.given) else 0] if samples.given else b""
        title = f"sample {number + 1} of {count}: " if count > 1 else ""
        weight = "" if abs(sample.weight * count - 1) < 1e-9 else f", weight {sample.weight:.3f}"
        line = "border-top:1px solid #8888;padding-top:.5em;" if number else ""
        parts.append(
            f'<div style="{line}margin-bottom:.8em"><p><b>{title}{rate(sample)}{weight}</b></p>'
            f"{_body(sample, given, samples.medium)}</div>"
        )
    if not isinstance(samples.medium, Image | Audio):
        parts.append(surprisal_legend())
    return "".join(parts)


def _body(sample: Sample, given: bytes, medium: Medium | None) -> str:
    if isinstance(medium, Image) and medium.width:
        return _picture(medium, [given], [sample.data])
    if isinstance(medium, Audio):
        return _player(medium, given, sample.data)
    before = readable(given[-_BEFORE:]).lstrip("\N{REPLACEMENT CHARACTER}")
    return surprisal_html(sample.data, sample.surprisals, ("…" if len(given) > _BEFORE else "") + before)


def _picture(medium: Image, given: Sequence[bytes], made: Sequence[bytes]) -> str:
    """Return the given parts and their continuations as one picture, with a word on where the given part ends."""
    rows = len(given) > 1
    file = medium.decode(b"".join(a + b for a, b in zip(given, made, strict=True)), ".png")
    zoom = max(_WIDE // medium.width, 1)
    cut = len(given[0]) // (medium.layout.pixel if rows else medium.layout.stride)
    where = f"the first {cut} {'pixels of each row' if rows else 'rows'} are given"
    return (
        f'<img alt="a picture, of which {where}" width="{medium.width * zoom}" style="image-rendering:pixelated" '
        f'src="{_data("image/png", file)}"><p><small>{where}</small></p>'
    )


def _player(medium: Audio, given: bytes, made: bytes) -> str:
    """Return a player of a sound at a level for listening, with the true level of what was made."""
    played = levelled(medium.waveform(given), medium.waveform(made), medium.rate)
    ends = f"the given part ends at {len(given) / medium.layout.pixel / medium.rate:.2f} s"
    told = f"what was made has {played.true[1]:.0f} dBFS, and is played {played.gains[1]:+.0f} dB"
    wav = _data("audio/wav", played.wav)
    return f'<audio controls src="{wav}"></audio><p><small>{ends}; {told}</small></p>'


def _data(kind: str, file: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(file).decode()}"
