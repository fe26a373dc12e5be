from __future__ import annotations

import numpy as np
import pytest

from compgen.evaluation.metrics import (
    copy_rate,
    distinct,
    divergence,
    gradient_distance,
    held_out_rate,
    histogram_distance,
    metrics,
    spectrum,
    spectrum_distance,
)
from compgen.evaluation.score import score
from compgen.media import MEDIA
from compgen.models import load


def test_copy_rate_counts_windows_found_in_the_context() -> None:
    context = b"abcdefghijklmnopqrstuvwxyz"
    assert copy_rate(context[3:23], context) == 1.0
    assert copy_rate(b"0123456789ABCDEFGHIJ", context) == 0.0
    assert copy_rate(context[:16] + b"!", context) == pytest.approx(1 / 2)
    assert copy_rate(b"abc", context) == 0.0
    assert copy_rate(b"abxabc", context, width=3) == pytest.approx(1 / 4)


def test_distinct_windows() -> None:
    assert distinct(b"abcdefgh") == 1.0
    assert distinct(b"aaaaaaaa") == pytest.approx(1 / 5)
    assert distinct(b"abc") == 1.0


def test_distances_are_zero_for_the_same_and_grow_with_noise() -> None:
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:40, :40]
    smooth = (2 * x + 3 * y).astype(np.uint8)
    noisy = [np.clip(smooth + generator.normal(0, sigma, smooth.shape), 0, 255).astype(np.uint8) for sigma in (5, 30)]
    assert gradient_distance(smooth, smooth) == 0
    assert 1 < gradient_distance(smooth, noisy[0]) < gradient_distance(smooth, noisy[1])
    assert histogram_distance(smooth, smooth) == 0
    assert histogram_distance(smooth, smooth + 7) == pytest.approx(7)
    tone = np.sin(np.arange(4000) / 5)
    hiss = [tone + generator.normal(0, sigma, 4000) for sigma in (0.01, 0.1)]
    assert spectrum_distance(tone, tone) == 0
    assert 1 < spectrum_distance(tone, hiss[0]) < spectrum_distance(tone, hiss[1])


def test_a_spectrum_is_welchs_mean_power_in_decibels() -> None:
    signal = pytest.importorskip("scipy.signal")
    generator = np.random.default_rng(4)
    one = generator.normal(0, 0.3, 5000)
    other = np.convolve(generator.normal(0, 0.1, 3000), [1, 1, 1, 1])  # of few high frequencies
    expected = []
    for sound in (one, other):
        _, power = signal.welch(
            sound, window=np.hanning(512), noverlap=256, detrend=False, return_onesided=False, scaling="density"
        )
        expected.append(10 * np.log10(power[:257] + 1e-7))
        assert np.allclose(spectrum(sound), expected[-1])
    distance = spectrum_distance(one, other)
    assert distance == pytest.approx(np.sqrt(np.mean((expected[0] - expected[1]) ** 2)))
    assert distance > 1.1 * np.mean(np.abs(expected[0] - expected[1])), "the mean is one of squares"
    assert spectrum_distance(one, 10 * one) == pytest.approx(20, abs=0.1), "ten times the amplitude are 20 dB"


def test_the_reference_prices_noise_higher_than_what_is_real() -> None:
    y, x = np.mgrid[:64, :64]
    data = (128 + 60 * np.sin(x / 9 + y / 7)).astype(np.uint8).tobytes()
    medium = MEDIA.build("image:width=64,channels=1")
    noise = np.random.default_rng(1).bytes(2048)
    real = metrics(data[2048:], data[:2048], medium)
    other = metrics(noise, data[:2048], medium, original=data[2048:])
    assert isinstance(real["reference_bpb"], float)
    assert isinstance(other["reference_bpb"], float)
    assert real["reference_bpb"] < 6 < 8 <= other["reference_bpb"]
    assert other["original_reference_bpb"] == real["reference_bpb"]


def test_held_out_rate_is_what_score_says() -> None:
    text = b"she sells sea shells by the sea shore"
    model = load("backoff")
    expected = score(model, text[20:30], text[:20]).derived_bpb
    assert held_out_rate(model, [text[:20]], [text[20:]], 10) == pytest.approx(expected)
    assert held_out_rate(model, [text], [b""], 10) is None


def test_divergence_is_zero_for_like_and_one_for_unlike() -> None:
    assert divergence(b"abab", b"baab") == pytest.approx(0)
    assert divergence(b"aaaa", b"bb") == pytest.approx(1)
    # By hand: p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4); H(m) - H(q) / 2 = 0.8113 - 0.5.
    assert divergence(b"aa", b"ab") == pytest.approx(0.3113, abs=1e-4)
