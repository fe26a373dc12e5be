"""Sampling by decompression: decoded noise follows the model, and coding gives the bits back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import compgen
from compgen.coding.bits import Decoded, bits_to_bytes, bytes_to_bits
from compgen.errors import CorruptDataError, UsageError
from compgen.models import load
from compgen.models.allowed import whole
from compgen.models.base import PRECISION

PROMPT = b"abracadabra abracadabra abracad"


@given(st.binary(min_size=900, max_size=900), st.integers(0, 200))
@settings(max_examples=40)
def test_bits_come_back(bits: bytes, length: int) -> None:
    model = load("backoff")
    [decoded] = bits_to_bytes(model, PROMPT, [bits], length)
    assert len(decoded.data) == length
    assert bytes_to_bits(model, PROMPT, decoded) == bits[: decoded.used]


@given(st.binary(min_size=900, max_size=900), st.integers(0, 100), st.sampled_from(["utf-8", "printable", "chars:abr"]))
@settings(max_examples=30)
def test_bits_come_back_from_text(bits: bytes, length: int, allow: str) -> None:
    model = load("backoff")
    [decoded] = bits_to_bytes(model, PROMPT, [bits], length, allow)
    assert len(decoded.data) == length
    decoded.data[: whole(allow, decoded.data)].decode()
    assert bytes_to_bits(model, PROMPT, decoded, allow) == bits[: decoded.used]
    if b"a" in decoded.data:
        with pytest.raises(CorruptDataError):
            bytes_to_bits(model, PROMPT, decoded, "chars:x")


@pytest.mark.parametrize("rule", ["calibrated", "decoder"])
def test_bits_come_back_from_a_derived_model(rule: str) -> None:
    bits, model = np.random.default_rng(1).bytes(400), load("gzip", rule=rule)
    [decoded] = bits_to_bytes(model, PROMPT, [bits], 40)
    assert bytes_to_bits(model, PROMPT, decoded) == bits[: decoded.used]
    other = Decoded(decoded.data[::-1], decoded.state, decoded.used, decoded.surprisals)
    with pytest.raises(CorruptDataError):
        bytes_to_bits(model, PROMPT, other)


def test_decoded_noise_follows_the_distribution() -> None:
    """Chi-square at 1 in 1,000 over the first and the second byte. Ancestral samples are the control."""
    model = load("backoff:order=1")
    state = model.start([b"abac"])
    expected = state.frequencies()[0] / (1 << PRECISION)
    for sampler in ("decode", "ancestral"):
        drawn = compgen.sample(model, b"abac", length=2, samples=4000, sampler=sampler, seed=11, allow="bytes")
        firsts = Counter(one.data[0] for one in drawn)
        assert chi_square(firsts, expected) > 0.001
        after_a = [one.data[1] for one in drawn if one.data[0] == ord("a")]
        state = model.start([b"abac"])
        state.extend(np.frombuffer(b"a", np.uint8))
        assert chi_square(Counter(after_a), state.frequencies()[0] / (1 << PRECISION)) > 0.001
        wrong = np.roll(expected, 1)
        assert chi_square(firsts, wrong) < 1e-6, "the test can fail"


def chi_square(counts: Counter[int], probabilities: np.ndarray) -> float:
    """Return the p-value of counts under probabilities. Bytes that are expected less than 5 times are pooled."""
    total = sum(counts.values())
    expected = probabilities * total
    common = np.flatnonzero(expected >= 5)
    seen = [counts[int(b)] for b in common]
    seen.append(total - sum(seen))
    wanted = [*expected[common], total - expected[common].sum()]
    if wanted[-1] < 1e-9:
        seen, wanted = seen[:-1], wanted[:-1]
    return float(stats.chisquare(seen, wanted).pvalue)


def test_decoded_and_drawn_samples_are_equally_likely(prose: bytes) -> None:
    """The mean surprisals of 300 samples of each kind differ by less than four standard errors."""
    rates = {}
    for sampler in ("decode", "ancestral"):
        drawn = compgen.sample(
            "backoff:order=3", prose[:2000], length=30, samples=300, sampler=sampler, seed=5, allow="bytes"
        )
        rates[sampler] = np.array([one.bits for one in drawn])
        for one in drawn[:3]:
            again = compgen.score("backoff:order=3", one.data, prose[:2000]).surprisals
            assert np.allclose(one.surprisals, again)
    a, b = rates.values()
    assert abs(a.mean() - b.mean()) < 4 * np.hypot(a.std(), b.std()) / np.sqrt(300)


def test_a_file_of_bits_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bits"
    path.write_bytes(bytes(range(200)))
    one = compgen.sample("backoff", PROMPT, length=50, sampler="decode", bits=str(path), allow="bytes")[0]
    assert one.data == bits_to_bytes(load("backoff"), PROMPT, [bytes(range(200))], 50)[0].data
    with pytest.raises(UsageError, match="one sample"):
        compgen.sample("backoff", PROMPT, length=5, sampler="decode", bits=str(path), samples=2)
    with pytest.raises(UsageError, match="give more bits"):
        compgen.sample("backoff", PROMPT, length=5000, sampler="decode", bits=str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        compgen.sample("backoff", PROMPT, length=5, sampler="decode", bits=str(tmp_path / "none"))
    path.write_bytes(b"abc")
    with pytest.raises(UsageError, match="too few"):
        compgen.sample("backoff", PROMPT, length=5, sampler="decode", bits=str(path))
