"""The law of FLAC: its reader against libsndfile, its components against libsndfile fed with random bits."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

soundfile = pytest.importorskip("soundfile")

from compgen.compressors.flac import Flac  # noqa: E402
from compgen.laws import flac as laws  # noqa: E402
from compgen.laws.flac import FlacLaw  # noqa: E402
from compgen.laws.flac_damping import EXTRA, damped  # noqa: E402
from compgen.laws.flac_frames import LEFT_SIDE, MID_SIDE, SIDE_RIGHT, Frame, Subframe, frames_in  # noqa: E402
from compgen.laws.flac_mixture import LOOPS, NOTHING, Mixture, described  # noqa: E402

_HEADER = 42
"""Bytes of a stream before its frames."""


def tones(frames: int, bits: int, channels: int = 1, seed: int = 0) -> bytes:
    """Made sound with noise in it, as unsigned samples."""
    generator, time = np.random.default_rng(seed), np.arange(frames)
    left = np.sin(time * 0.05) * 0.2 + np.sin(time * 0.31) * 0.1 * np.cos(time / 700)
    sound = [left + generator.normal(0, 0.003, frames) for _ in range(channels)]
    unsigned = np.stack(sound, axis=1) * (1 << (bits - 1)) + (1 << (bits - 1))
    return unsigned.astype(">u2" if bits == 16 else "u1").tobytes()


def unsigned(data: bytes, bits: int) -> np.ndarray:
    return np.frombuffer(data, dtype=">u2" if bits == 16 else "u1").astype(np.int64) - (1 << (bits - 1))


def compressor_of(bits: int, channels: int = 1) -> Flac:
    return Flac(channels=channels, bits=bits)


@pytest.fixture(params=["numpy", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(LOOPS, "cost", 0.0 if request.param == "compiled" else math.inf)
    return str(request.param)


def decoded(stream: bytes, subframe: Subframe, bits: int) -> np.ndarray:
    """The samples of a subframe, decoded by what the reader says of it. The coded channel has so many bits."""
    bitstring = "".join(f"{byte:08b}" for byte in stream)

    def signed(place: int, width: int) -> int:
        value = int(bitstring[place : place + width] or "0", 2)
        return value - (1 << width) if width and value >> (width - 1) else value

    order, width = len(subframe.coefficients), bits - subframe.wasted
    samples = [signed(subframe.begin + i * width, width) for i in range(order)]
    for code, places in zip(subframe.codes.tolist(), subframe.places, strict=True):
        for place in places:
            if code < 0:
                residual = signed(place, -1 - code)
            else:
                one = bitstring.index("1", place)
                folded = (one - place) << code | int(bitstring[one + 1 : one + 1 + code] or "0", 2)
                residual = folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1
            recent = samples[len(samples) - order :][::-1]
            sum_ = sum(int(c) * s for c, s in zip(subframe.coefficients, recent, strict=True))
            samples.append(subframe.offset + (sum_ >> subframe.shift) + residual)
    return np.array(samples, dtype=np.int64) << subframe.wasted


def channels_of(stream: bytes, frame: Frame, bits: int) -> np.ndarray:
    side = {LEFT_SIDE: 1, SIDE_RIGHT: 0, MID_SIDE: 1}.get(frame.assignment)
    first, *rest = (decoded(stream, one, bits + (i == side)) for i, one in enumerate(frame.subframes))
    if not rest:
        return first[:, None]
    second = rest[0]
    if frame.assignment == LEFT_SIDE:
        second = first - second
    elif frame.assignment == SIDE_RIGHT:
        first = first + second
    elif frame.assignment == MID_SIDE:
        first, second = first + ((second + 1) >> 1), first + ((second + 1) >> 1) - second
    return np.stack([first, second], axis=1)


def inputs() -> Iterator[tuple[str, int, int, bytes]]:
    generator = np.random.default_rng(5)
    for bits in (8, 16):
        for channels in (1, 2):
            yield "tones", bits, channels, tones(5000, bits, channels)
            yield "noise", bits, channels, generator.bytes(700 * channels * bits // 8)
            yield "silence", bits, channels, tones(0, bits) + bytes([128, *[0] * (bits // 8 - 1)]) * 900 * channels
            yield "short", bits, channels, tones(3, bits, channels)
    coarse = (np.frombuffer(tones(5000, 16), dtype=">u2") >> 5 << 5).astype(">u2").tobytes()
    yield "wasted bits", 16, 1, coarse
    click = bytearray(tones(3000, 16))
    click[2000:2200] = generator.bytes(200)
    yield "a click", 16, 1, bytes(click)
    one = np.frombuffer(tones(5000, 16), dtype=">u2").astype(np.int64)
    for name, right in (("left and side", one + 9), ("middle and side", 65_000 - one // 2)):
        wide = np.stack([one, right + generator.integers(-40, 40, len(one))], axis=1)
        yield name, 16, 2, wide.astype(">u2").tobytes()
        yield f"{name}, turned", 16, 2, wide[:, ::-1].astype(">u2").tobytes()


def test_the_reader_finds_every_sample_that_was_coded() -> None:
    """Over all kinds of frames that libFLAC writes here: what it says decodes to the samples."""
    seen: set[tuple[int, bool, bool]] = set()
    for name, bits, channels, data in inputs():
        stream = compressor_of(bits, channels).encode(data)
        frames = frames_in(stream, _HEADER, bits)
        found = np.concatenate([channels_of(stream, frame, bits) for frame in frames])
        assert np.array_equal(found.reshape(-1), unsigned(data, bits)), (name, bits, channels)
        for frame in frames:
            seen |= {(frame.assignment, one.shift > 0, one.wasted > 0) for one in frame.subframes}
    assert {assignment for assignment, *_ in seen} >= {0, 1, LEFT_SIDE}
    assert {True, False} == {linear for _, linear, _ in seen} == {wasted for *_, wasted in seen}


def crc(data: bytes, polynomial: int, width: int) -> int:
    """The checksum of RFC 9639, section 9.1.8 or 9.3."""
    value = 0
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (width - 1) else 0)) & ((1 << width) - 1)
    return value


class Decoder:
    """libsndfile on frames with the predictor of the encoder's own frame, its last samples, and random bits.

    The frame is that of ``block``. Its subframe is written again with one partition of Rice code k, and with the last
    samples of the block as the samples to begin with.
    """

    def __init__(self, block: bytes, bits: int, k: int) -> None:
        self._bits, self._k = bits, k
        stream = compressor_of(bits).encode(block)
        self.frame = frames_in(stream, _HEADER, bits)[0]
        self.subframe = subframe = self.frame.subframes[0]
        order = len(subframe.coefficients)
        assert order
        text = "".join(f"{byte:08b}" for byte in stream[_HEADER:])
        begin = subframe.begin - 8 * _HEADER
        kind = text[self.frame.first - 8 * _HEADER : begin]
        width = bits - subframe.wasted
        warm_up = unsigned(block, bits)[-order:] >> subframe.wasted
        coded = "".join(f"{int(one) & (1 << width) - 1:0{width}b}" for one in warm_up)
        # What lies between the encoder's first samples and its residuals: precision, shift, coefficients.
        coefficients = ""
        if kind[1] == "1":
            at = begin + order * width
            coefficients = text[at : at + 9 + order * (int(text[at : at + 4], 2) + 1)]
        self._subframe = kind + coded + coefficients + "000000" + f"{k:04b}"
        self.size = order + 1
        total = int.from_bytes(stream[18:26], "big") >> 36 << 36 | self.size
        info = bytearray(stream[:18] + total.to_bytes(8, "big") + bytes(16))
        info[8:12] = (16).to_bytes(2, "big") + (4096).to_bytes(2, "big")
        info[12:18] = bytes(6)
        self._info = bytes(info)
        self._order = order

    def first_sample(self, bits: str) -> int:
        """The sample that the decoder makes of random bits, after those to begin with."""
        rest = bits[: bits.index("1") + 1 + self._k]
        header = bytes([0xFF, 0xF8, 0x60 | 0x00, 0x00 | {8: 0b0010, 16: 0b1000}[self._bits], 0, self.size - 1])
        body = self._subframe + rest
        body += "0" * (-len(body) % 8)
        frame = header + bytes([crc(header, 0x07, 8)]) + int(body, 2).to_bytes(len(body) // 8, "big")
        frame += crc(frame, 0x8005, 16).to_bytes(2, "big")
        samples, _ = soundfile.read(io.BytesIO(self._info + frame), dtype="int16")
        return int(samples[self._order]) >> (16 - self._bits)


def chance_of(law: FlacLaw, context: bytes, frame: Frame, value: int) -> float:
    """The probability of a sample under one subframe with one partition, by the product of its bytes."""
    mixture = Mixture(described([frame]), context[-32 * law.frame :], law.channels, law.bits, 4)
    data = (value + (1 << (law.bits - 1))).to_bytes(law.bits // 8, "big")
    chance = 1.0
    for symbol in data:
        mixture._weigh()
        weights = mixture._law()
        chance *= int(weights[symbol]) / int(weights.sum())
        mixture._append(symbol)
    return chance


@pytest.mark.parametrize(("bits", "k"), [(8, 0), (8, 2), (16, 3), (16, 7)])
def test_libsndfile_fed_with_random_bits_writes_by_this_law(bits: int, k: int) -> None:
    """First samples: chi-square at an error rate of 1 in 10,000. The control, another k, fails."""
    block = tones(4096, bits)
    decoder, generator = Decoder(block, bits, k), np.random.default_rng(96_39)
    law = compressor_of(bits).law()
    values = []
    for _ in range(3000):
        text = "".join(map(str, generator.integers(0, 2, 64 + k).tolist())) + "1" * 20
        values.append(decoder.first_sample(text))
    found, counts = np.unique(values, return_counts=True)
    every = np.arange(found.min() - 400, found.max() + 400).clip(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    every = np.unique(every)
    observed = np.zeros(len(every))
    observed[np.searchsorted(every, found)] = counts

    def fits(code: int) -> float:
        one = Subframe(
            decoder.subframe.coefficients, decoder.subframe.shift, 0, decoder.subframe.wasted,
            np.array([code]), [[0] * 64], 0,
        )  # fmt: skip
        frame = Frame(0, [one], 0, 0, 0)
        expected = np.array([chance_of(law, block, frame, int(value)) for value in every]) * counts.sum()
        cells = np.cumsum(expected) // 8
        summed = [np.bincount(cells.astype(int), part) for part in (observed, expected)]
        keep = summed[1] > 4
        return float(
            stats.chisquare(summed[0][keep], summed[1][keep] * summed[0][keep].sum() / summed[1][keep].sum()).pvalue
        )

    assert fits(k) > 1e-4
    assert fits(k + 1) < 1e-6


def test_a_mixture_is_the_sum_of_its_components(form: str) -> None:
    """8 bits, three subframes: by exact fractions, to one in a million; and after a byte Bayes' weights."""
    flac = compressor_of(8)
    data = tones(2000, 8, seed=3)
    frames = [frames_in(flac.encode(data[-size:]), _HEADER, 8)[0] for size in (1000, 200, 64)]
    mixture = Mixture(described(frames), data[-32:], 1, 8, 4)
    samples = unsigned(data, 8)
    parts, weights = [], []
    for frame in frames:
        (subframe,) = frame.subframes
        recent = samples[::-1][: len(subframe.coefficients)]
        prediction = subframe.offset + (int((recent * subframe.coefficients).sum()) >> subframe.shift)
        for code in sorted(set(subframe.codes.tolist())):
            residuals = np.arange(-128, 128) - prediction
            folded = np.where(residuals >= 0, 2 * residuals, -2 * residuals - 1)
            if code >= 0:
                chances = 0.5 ** (1 + code + (folded >> code))
            else:
                half = (1 << (-1 - code)) >> 1
                chances = ((residuals >= -half) & (residuals < max(half, 1))).astype(float)
            parts.append(chances / chances.sum())
            weights.append(subframe.sizes[subframe.codes == code].sum() / subframe.sizes.sum() / len(frames))
    expected = np.array(weights) @ np.array(parts)
    assert np.abs(mixture.frequencies() / (1 << 24) - expected).max() < 1e-4
    symbol = int(np.argmax(expected)) - 2
    before = mixture._weights[0].copy()
    mixture.read(np.array([symbol], dtype=np.uint8), NOTHING, NOTHING)
    posterior = np.array(weights) * np.array(parts)[:, symbol]
    posterior /= posterior.sum()
    owners = mixture.description.components[0].owners
    of_owner = np.bincount(owners, posterior)[owners]
    within = mixture.description.components[0].within / (1 << 28)
    shared = posterior * (1 - 1 / 32 - 1 / 128) + of_owner * within / 32 + np.array(weights) / 128
    found = mixture._weights[0] / mixture._weights[0].sum()
    assert not np.array_equal(before, mixture._weights[0])
    assert np.abs(found - shared).max() < 1e-4


@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (16, 1), (8, 2), (16, 2)])
@pytest.mark.parametrize("size", [0, 1, 31, 33, 300, 700, 4801])
def test_a_fresh_start_is_what_going_on_comes_to(form: str, bits: int, channels: int, size: int) -> None:
    """At ragged ends too."""
    law = compressor_of(bits, channels).law()
    data = tones(1300, bits, channels)[: size + 1]
    begin = max(0, len(data) - 300)
    grown, read = law.start(data[:begin]), law.start(data[:begin])
    for symbol in data[begin:]:
        grown.append(symbol)
    fork = read.fork()
    read.consume(np.frombuffer(data[begin:], dtype=np.uint8))
    fresh = law.start(data)
    for state in (grown, read):
        assert np.array_equal(state.frequencies(), fresh.frequencies())
        assert np.array_equal(state.parts()[0], fresh.parts()[0])
        assert state.parts()[1] == fresh.parts()[1]
    assert fresh.frequencies().sum() == 1 << 24
    assert fresh.frequencies().min() >= 1
    assert np.array_equal(fork.frequencies(), law.start(data[:begin]).frequencies())
    shares, _ = fresh.parts()
    assert shares.shape == (len(laws.BLOCKS) + 1, 256)
    assert np.array_equal(shares[-1], fresh.frequencies() << 6)
    assert (shares.sum(axis=1) == 1 << 30).all()


@pytest.mark.parametrize("case", list(inputs()), ids=lambda case: f"{case[0]}, {case[1]} bits, {case[2]} channels")
def test_both_forms_give_the_same(case: tuple[str, int, int, bytes]) -> None:
    pytest.importorskip("numba")
    _, bits, channels, data = case
    law, found = compressor_of(bits, channels).law(), []
    for cost in (math.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LOOPS, "cost", cost)
            state = law.start(data[:1201])
            low, width = state.consume(np.frombuffer(data[1201:2501], dtype=np.uint8))
            found.append((low, width, state.frequencies(), *state.parts()[0]))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    low, width, *_ = found[0]
    assert ((low >= 0) & (width >= 1) & (low + width <= 1 << 24)).all()


@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (16, 1), (8, 2), (16, 2)])
def test_the_law_costs_less_than_flac(bits: int, channels: int) -> None:
    flac = compressor_of(bits, channels)
    data = tones(4096 + 3000, bits, channels)
    known = 4096 * flac.frame
    _, width = flac.law().start(data[:known]).consume(np.frombuffer(data[known:], dtype=np.uint8))
    before, after = flac.code_lengths(data[:known], [b"", data[known:]])
    # Of two channels FLAC codes these as middle and side, which the law replaces by left and side.
    assert (24 - np.log2(width)).sum() < (1.0 if channels == 1 else 1.05) * (after - before)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_click_after_silence(form: str, bits: int) -> None:
    """No component expects the low byte of such a sample; frequencies once summed to 512 there."""
    silence = bytes([128, *[0] * (bits // 8 - 1)]) * 400
    state = compressor_of(bits).law().start(silence)
    assert state.frequencies()[128] > 0.999 * (1 << 24)
    for symbol in (255, 3, 7, 128):
        state.append(symbol)
        assert state.frequencies().sum() == 1 << 24
        assert (state.parts()[0].sum(axis=1) == 1 << 30).all()


def test_noise_has_a_nearly_uniform_law() -> None:
    law = compressor_of(16).law()
    frequencies = law.start(np.random.default_rng(1).bytes(9000)).frequencies()
    assert np.abs(frequencies / (1 << 16) - 1).max() < 0.1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_sample_keeps_its_level(bits: int, frozen: bool) -> None:
    """Undamped predictors made random walks of residuals: +20 dB within a second, and all samples at the border."""
    if not frozen:
        pytest.importorskip("numba")  # for speed alone
    law, generator = compressor_of(bits).law(), np.random.default_rng(7)
    prompt = tones(6000, bits)
    state = law.start(prompt)
    if frozen:
        state.freeze()
    out = bytearray()
    for point in generator.integers(0, 1 << 24, 6000 * bits // 8).tolist():
        out.append(int(np.searchsorted(np.cumsum(state.frequencies()), point, side="right")))
        state.append(out[-1])
    level = [np.sqrt(np.mean(unsigned(part, bits)[-2000:] ** 2)) for part in (prompt, bytes(out))]
    assert 1 / 3 < level[1] / level[0] < 2


@pytest.mark.parametrize("channels", [1, 2])
def test_a_click_in_a_frozen_sample_does_not_ring(channels: int, form: str) -> None:
    """A predictor that is fed with a sample at full scale expects the next ones there, and rang for 200 samples."""
    prompt = tones(3000, 16, channels)
    state = compressor_of(16, channels).law().start(prompt)
    state.freeze()
    generator, out = np.random.default_rng(7), bytearray()
    for step, point in enumerate(generator.integers(0, 1 << 24, 700).tolist()):
        drawn = int(np.searchsorted(np.cumsum(state.frequencies()), point, side="right"))
        out.append(0 if step == 400 else drawn)
        state.append(out[-1])
    loudest = np.abs(unsigned(prompt, 16)).max()
    after = np.abs(unsigned(bytes(out), 16).reshape(-1)[200 + 3 * channels :])
    assert np.abs(unsigned(bytes(out), 16)).max() > 32_000
    assert after.max() < 2 * loudest


def test_a_stable_quiet_predictor_is_not_damped_and_an_unstable_one_is() -> None:
    still = np.array([900])
    assert damped(still, 10, 12 * 5, 10_000) == (still, 10)
    for given in ([1], [2, -1], [3, -3, 1], [4, -6, 4, -1]):
        coefficients, shift = damped(np.array(given), 0, 12 * 100, 40_000)
        assert shift == EXTRA
        roots = np.abs(np.roots([1, *(-coefficients / (1 << shift))]))
        assert 0.5 < roots.max() < 1
        response = [1.0]
        for _ in range(4000):
            recent = response[::-1][: len(coefficients)]
            response.append(float(np.dot(coefficients[: len(recent)], recent)) / (1 << shift))
        assert np.square(response).sum() * 100 <= 40_100


def test_frequencies_are_what_they_were(form: str) -> None:
    """Files that follow a law decode only if its arithmetic never changes. No encoder gives this frame."""
    one = Subframe(np.array([1900, -920]), 10, 0, 0, np.array([3, 5, -4]), [[0] * 9, [0] * 5, [0] * 2], 0)
    other = Subframe(np.array([1]), 0, 0, 0, np.array([0, 2]), [[0] * 3, [0] * 4], 0)
    frames = [Frame(0, [one, other], 0, 0, 0), Frame(LEFT_SIDE, [other, one], 0, 0, 0)]
    digest = hashlib.sha256()
    for powers in ((), (90_000, 70_000, 9000)):
        mixture = Mixture(described(frames, powers), tones(16, 16, 2), 2, 16, 40)
        for symbol in tones(40, 16, 2, seed=8)[:100]:
            digest.update(mixture.frequencies().astype("<i8").tobytes())
            mixture.read(np.array([symbol], dtype=np.uint8), NOTHING, NOTHING)
    assert digest.hexdigest()[:16] == "4378e2626ceb050c"
