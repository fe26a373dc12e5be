"""What can be measured about a sample: what it copies, repeats and costs, and how far it is from what is real.

Distances are 0 for the same thing. They compare distributions, not positions: a continuation need not be the original
one to be near it.
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

_FRAME = 512  # samples of a spectrum
_FLOOR = 1e-7  # of the power, about that of 8-bit rounding


def copy_rate(sample: bytes, context: bytes, width: int = 16) -> float:
    """Return the share of the sample's windows of ``width`` bytes that stand verbatim in the context.

    0 for a sample shorter than one window: it has copied nothing that could be called so.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return sum(window in context for window in windows) / len(windows) if windows else 0.0


def distinct(sample: bytes, width: int = 4) -> float:
    """Return the share of the sample's windows of ``width`` bytes that differ from all before; 1 for none.

    Li et al. 2016, "A Diversity-Promoting Objective Function", section 5.2, with bytes for words.
    """
    windows = [sample[i : i + width] for i in range(len(sample) - width + 1)]
    return len(set(windows)) / len(windows) if windows else 1.0


def divergence(one: bytes, other: bytes) -> float:
    """Return the Jensen-Shannon divergence of two strings' byte counts, bits: 0 where they are alike, 1 at most."""
    shares = [_shares(np.frombuffer(data, dtype=np.uint8)) for data in (one, other)]
    return _entropy((shares[0] + shares[1]) / 2) - (_entropy(shares[0]) + _entropy(shares[1])) / 2


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())


def reference_rate(sample: bytes, context: bytes, medium: Medium) -> float:
    """Return what the medium's reference compressor spends on the sample after the context, bits per byte.

    Raises:
        MissingExtraError: the reference is not installed.
    """
    reference = COMPRESSORS.build(medium.reference).laid_out(medium.layout)
    before, after = reference.code_lengths(context, [b"", sample])
    return float(after - before) / max(len(sample), 1)


def spectrum(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (257,) mean power at each frequency, dB, of (n,) samples: Welch's method with Hann windows."""
    padded = np.pad(sound, (0, max(_FRAME - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1)) ** 2 / np.square(np.hanning(_FRAME)).sum()
    decibels: NDArray[np.float64] = 10 * np.log10(power.mean(axis=0) + _FLOOR)
    return decibels


def spectrum_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the log-spectral distance of two sounds, (n,) and (m,) samples: the RMS difference of spectra, dB."""
    return float(np.sqrt(np.mean((spectrum(one) - spectrum(other)) ** 2)))


def _shares(values: NDArray[Any]) -> NDArray[np.float64]:
    counts = np.bincount(np.minimum(values.astype(np.int64), 255).reshape(-1), minlength=256)
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
    return shares


def histogram_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return how far the levels of two pictures are apart, (rows, width[, 3]) each: earth mover's distance, levels."""
    return float(np.abs(np.cumsum(_shares(one) - _shares(other))).sum())


def gradient_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the same for the differences between neighbours, in rows and in columns: noise and flatness show."""
    parts = []
    for axis in (0, 1):
        steps = [np.abs(np.diff(picture.astype(np.int64), axis=axis)) for picture in (one, other)]
        parts.append(float(np.abs(np.cumsum(_shares(steps[0]) - _shares(steps[1]))).sum()))
    return sum(parts) / 2


def held_out_rate(model: ByteModel, contexts: Sequence[bytes], originals: Sequence[bytes], most: int) -> float | None:
    """Return what the first ``most`` bytes of what really followed cost under ``model``, bits per byte."""
    bits, count = 0.0, 0
    for context, original in zip(contexts, originals, strict=True):
        if held_out := original[: most - count]:
            bits += float(score(model, held_out, context).surprisals.sum())
            count += len(held_out)
    return bits / count if count else None


def metrics(sample: bytes, context: bytes, medium: Medium, original: bytes = b"") -> dict[str, float | str | None]:
    """Return everything above by name.

    Args:
        sample: the bytes made.
        context: the bytes known before.
        medium: what they are, with its width and rate.
        original: what really followed, if it is known; without it the context is what the sample is compared with.
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
        pair = medium.pixels(sample), medium.pixels(real)
        found["histogram_distance"] = histogram_distance(*pair)
        found["gradient_distance"] = gradient_distance(*pair)
    return found
