"""Measures of a sample: what it copies, what it repeats, what it costs, and how far it is from real data.

A distance is 0 between equal things. Distances compare distributions, not positions: a continuation can differ from
the original in every byte and still be near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.compressors import COMPRESSORS
from compgen.errors import MissingExtraError
from compgen.evaluation.score import score
from compgen.media import Medium
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.models.base import ByteModel

_FRAME = 512
"""Samples of a frame of a spectrum, which has 257 frequencies. Chosen: 32 ms of speech at 16 kHz."""
_FLOOR = 1e-7
"""Power added to each frequency, so that silence has a finite level, -70 dB. Chosen: below the power of 8-bit rounding,
(1/128)**2 / 12 = 5e-6 for samples between -1 and 1."""


def copy_rate(sample: bytes, context: bytes, width: int = 16) -> float:
    """Return the share of the sample's windows of ``width`` bytes that the context holds verbatim.

    A sample shorter than one window has rate 0.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return sum(window in context for window in windows) / len(windows) if windows else 0.0


def distinct(sample: bytes, width: int = 4) -> float:
    """Return the share of the sample's windows of ``width`` bytes that differ from all windows before them.

    A sample shorter than one window has share 1. The measure is distinct-n of Li et al. 2016, "A Diversity-Promoting
    Objective Function", section 5.2, over bytes instead of words.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return len(set(windows)) / len(windows) if windows else 1.0


def divergence(one: bytes, other: bytes) -> float:
    """Return the Jensen-Shannon divergence of the byte counts of two strings, bits: from 0 (equal) to 1 (disjoint)."""
    shares = [_shares(np.frombuffer(data, dtype=np.uint8)) for data in (one, other)]
    return _entropy((shares[0] + shares[1]) / 2) - (_entropy(shares[0]) + _entropy(shares[1])) / 2


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())


def reference_rate(sample: bytes, context: bytes, medium: Medium) -> float:
    """Return what the medium's reference compressor spends on the sample, given the context, bits per byte.

    Raises:
        MissingExtraError: the reference compressor is not installed.
    """
    reference = COMPRESSORS.build(medium.reference).laid_out(medium.layout)
    before, after = reference.code_lengths(context, [b"", sample])
    return float(after - before) / max(len(sample), 1)


def spectrum(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power at each frequency, (257,) dB, of a sound, (n,) samples.

    Welch's method (1967) with Hann windows that overlap by half.
    """
    padded = np.pad(sound, (0, max(_FRAME - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1)) ** 2 / np.square(np.hanning(_FRAME)).sum()
    decibels: NDArray[np.float64] = 10 * np.log10(power.mean(axis=0) + _FLOOR)
    return decibels


def spectrum_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the log-spectral distance of two sounds, (n,) and (m,) samples: RMS difference of their spectra, dB."""
    return float(np.sqrt(np.mean((spectrum(one) - spectrum(other)) ** 2)))


def _shares(values: NDArray[Any]) -> NDArray[np.float64]:
    counts = np.bincount(np.minimum(values.astype(np.int64), 255).reshape(-1), minlength=256)
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
    return shares


def _levels(picture: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
    """Return a picture in levels of 8 bits."""
    return (picture >> 8 * (picture.dtype.itemsize - 1)).astype(np.uint8)


def histogram_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the earth mover's distance of the levels of two pictures, (rows, width[, 3]) each, in levels."""
    return float(np.abs(np.cumsum(_shares(one) - _shares(other))).sum())


def gradient_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the earth mover's distance of the steps between neighbouring pixels, in levels, mean of rows and columns.

    A noisy picture and a flat one are far from a real one by it.
    """
    parts = []
    for axis in (0, 1):
        steps = [np.abs(np.diff(picture.astype(np.int64), axis=axis)) for picture in (one, other)]
        parts.append(float(np.abs(np.cumsum(_shares(steps[0]) - _shares(steps[1]))).sum()))
    return sum(parts) / 2


def held_out_rate(model: ByteModel, contexts: Sequence[bytes], originals: Sequence[bytes], most: int) -> float | None:
    """Return the rate of ``model`` on real continuations, bits per byte; None if there are no bytes to score.

    Args:
        model: the model.
        contexts: the prompts.
        originals: what really followed each prompt.
        most: bytes to score in all.
    """
    bits, count = 0.0, 0
    for context, original in zip(contexts, originals, strict=True):
        if held_out := original[: most - count]:
            bits += float(score(model, held_out, context).surprisals.sum())
            count += len(held_out)
    return bits / count if count else None


def metrics(sample: bytes, context: bytes, medium: Medium, original: bytes = b"") -> dict[str, float | str | None]:
    """Return all measures that suit the medium, by name.

    Args:
        sample: the sampled bytes.
        context: the bytes known before.
        medium: the medium of the bytes, with its width and rate.
        original: what really followed the context. If it is empty, distances are taken from the context.
    """
    found: dict[str, float | str | None] = {
        "copy_rate": copy_rate(sample, context),
        "distinct_4": distinct(sample),
        "reference": medium.reference,
    }
    try:
        found["reference_bpb"] = reference_rate(sample, context, medium)
        found["original_reference_bpb"] = reference_rate(original, context, medium) if original else None
    except MissingExtraError:
        found["reference_bpb"] = None
    real = original or context
    if isinstance(medium, Audio) and sample and real:
        found["spectrum_distance_db"] = spectrum_distance(medium.waveform(sample), medium.waveform(real))
    if isinstance(medium, Image) and sample and real:
        pair = _levels(medium.pixels(sample)), _levels(medium.pixels(real))
        found["histogram_distance"] = histogram_distance(*pair)
        found["gradient_distance"] = gradient_distance(*pair)
    return found
