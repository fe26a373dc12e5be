"""The law of DEFLATE: against all ways to write short strings, and against zlib's own decoder fed with random bits."""

from __future__ import annotations

import hashlib
import math
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compgen.laws import deflate
from compgen.laws.forward import LOOPS
from compgen.laws.lz77 import DEFLATE_RENEWALS, Lz77Law, Pass, Prices
from tests.conftest import ROOT
from tests.laws.deflate_oracle import TINY, Decoder, chi_square, codes_alone, enumerated

PROSE = (ROOT / "examples/prompts/lighthouse.txt").read_bytes()


def stream_of(data: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


LAW = Lz77Law(lambda context: deflate.prices_in(stream_of(context)))


@pytest.fixture(params=["numpy", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(LOOPS, "cost", 0.0 if request.param == "compiled" else math.inf)
    return str(request.param)


@given(st.binary().map(lambda data: bytes(97 + b % 3 for b in data)), st.lists(st.integers(97, 99), max_size=7))
@settings(max_examples=60)
def test_the_sum_over_parses_is_that_of_enumeration(known: bytes, written: list[int]) -> None:
    """To the last integer: with these prices nothing is rounded, so weights are in exact proportion."""
    known = known[:12]
    forms = []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            law = Pass(known, TINY, 10)
            law.append(np.array(written, dtype=np.uint8))
            forms.append(law._weights())
    assert np.array_equal(forms[0], forms[1])
    chances = {b: enumerated(TINY, known, bytes([*written, b])) for b in (97, 98, 99)}
    scale = Fraction(int(forms[0][97])) / chances[97]
    assert [Fraction(int(forms[0][b])) for b in chances] == [scale * chances[b] for b in chances]
    assert forms[0].sum() == sum(forms[0][b] for b in chances)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 511, 3000, 4096, 5000])
def test_a_fresh_start_is_what_going_on_comes_to(form: str, size: int) -> None:
    data = (PROSE + bytes(range(256)) * 3 + PROSE)[: size + 40]
    grown, read = LAW.start(data[: size // 2]), LAW.start(data[: size // 2])
    for symbol in data[size // 2 :]:
        grown.append(symbol)
    read.consume(np.frombuffer(data[size // 2 :], dtype=np.uint8))
    fresh = LAW.start(data).frequencies()
    assert np.array_equal(grown.frequencies(), fresh)
    assert np.array_equal(read.frequencies(), fresh)
    assert fresh.sum() == 1 << 24
    assert fresh.min() >= 1


def test_renewals_depend_on_the_number_of_bytes_alone_and_are_seldom() -> None:
    places = sorted({DEFLATE_RENEWALS.last(size) for size in range(6_500)})
    assert places == [0, 256, 512, 1024, 2048, 3072, 4096, 5120, 6144]
    assert all(DEFLATE_RENEWALS.last(size) <= size for size in range(20_000))
    assert [DEFLATE_RENEWALS.after(place) for place in places[:-1]] == places[1:]


@pytest.mark.parametrize("name", ["prose", "zeros", "records", "noise"])
def test_both_forms_give_the_same(name: str) -> None:
    pytest.importorskip("numba")
    data = {
        "prose": PROSE,
        "zeros": bytes(3000),
        "records": b"".join(b"%05d,\x00\xff%06d\r\n" % (i, i * i) for i in range(300)),
        "noise": np.random.default_rng(3).bytes(3000),
    }[name]
    found = []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            state = LAW.start(data[:1500])
            fork = state.fork()
            low, width = state.consume(np.frombuffer(data[1500:2900], dtype=np.uint8))
            fork.append(7)
            found.append((low, width, state.frequencies(), fork.frequencies()))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    low, width, *_ = found[0]
    assert ((low >= 0) & (width >= 1) & (low + width <= 1 << 24)).all()


def test_compiled_loops_may_take_over_at_any_byte() -> None:
    pytest.importorskip("numba")
    state, plain = LAW.start(PROSE[:700]), LAW.start(PROSE[:700])
    with pytest.MonkeyPatch.context() as patch:
        for step, symbol in enumerate(PROSE[700:900]):
            patch.setattr(LOOPS, "cost", 0.0 if step // 7 % 2 else math.inf)
            state.append(symbol)
            patch.setattr(LOOPS, "cost", math.inf)
            plain.append(symbol)
            assert np.array_equal(state.frequencies(), plain.frequencies())


def test_noise_has_a_uniform_law_since_its_blocks_are_stored() -> None:
    frequencies = LAW.start(np.random.default_rng(1).bytes(5000)).frequencies()
    assert (frequencies == 1 << 16).all()


def law_of(context: bytes, prices: Prices, written: bytes) -> np.ndarray:
    """(256,) probabilities after ``written``, which follows the context from a boundary on; without floors."""
    law = Pass(context, prices, 300)
    law.append(np.frombuffer(written, dtype=np.uint8))
    weights = law._weights().astype(np.float64)
    probabilities: np.ndarray = weights / weights.sum()
    return probabilities


TRIALS = 20_000


@pytest.mark.parametrize("name", ["prose", "records", "markup"])
def test_zlib_fed_with_random_bits_writes_by_this_law(name: str) -> None:
    """First bytes, and second bytes behind common first ones: chi-square, each at an error rate of 1 in 10,000.

    The control, the law of other text, fails.
    """
    context = {
        "prose": PROSE * 3,
        "records": b"".join(b"%05d,%06d;%02d\r\n" % (i, i * i, i % 7) for i in range(900)),
        "markup": b"".join(b'<p class="c%d">%s</p>\n' % (i % 9, PROSE[7 * i : 7 * i + 23]) for i in range(150)),
    }[name]
    decoder, generator = Decoder(context, stream_of(context)), np.random.default_rng(20_16)
    outputs = [decoder.decode(generator.integers(0, 2, 400, dtype=np.uint8))[:2] for _ in range(TRIALS)]
    outputs = [output for output in outputs if len(output) == 2]  # an end mark, or a distance beyond the beginning
    prices = codes_alone(stream_of(context))
    first = np.bincount([output[0] for output in outputs], minlength=256)
    assert chi_square(first, law_of(context, prices, b"")) > 1e-4
    assert chi_square(first, law_of(PROSE[::-1] * 2, codes_alone(stream_of(PROSE[::-1] * 2)), b"")) < 1e-6
    for symbol in np.argsort(-first)[:3].tolist():
        second = np.bincount([output[1] for output in outputs if output[0] == symbol], minlength=256)
        assert chi_square(second, law_of(context, prices, bytes([symbol]))) > 1e-4


def test_frequencies_by_given_prices_are_what_they_were(form: str) -> None:
    """Files that follow a law decode only if its arithmetic never changes. No compressor gives these prices."""
    law = Lz77Law(lambda context: TINY)
    state, digest = law.start(b"abracadabra" * 3), hashlib.sha256()
    for symbol in b"abracad" + bytes(range(90, 130)) + b"abc" * 90:
        digest.update(state.frequencies().astype("<i8").tobytes())
        state.append(symbol)
    assert digest.hexdigest()[:16] == "8e0972a75dc94173"
