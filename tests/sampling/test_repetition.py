"""The penalty for repetitions and the length that none may reach."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.errors import UsageError
from compgen.sampling import SAMPLERS
from compgen.sampling.repetition import Repetition, repeated
from compgen.sampling.shaping import Shaping

FEW = st.binary(max_size=40).map(lambda data: bytes(byte % 3 for byte in data))
"""Histories of three different bytes, which repeat themselves."""

EVERY = np.ones((1, 256), dtype=np.bool_)


def slowly(history: bytes, most: int) -> list[int]:
    """By the definition: the longest end of history + byte that stands earlier in history."""
    return [
        max(n for n in range(min(most, len(history)) + 1) if (history + bytes([b]))[len(history) + 1 - n :] in history)
        for b in range(256)
    ]


@given(FEW, st.integers(1, 12))
def test_repeated_bytes_are_counted_by_the_definition(history: bytes, most: int) -> None:
    assert repeated(history, most).tolist() == slowly(history, most)


@given(FEW, FEW, st.integers(1, 9), st.floats(0.5, 3))
def test_a_history_is_a_function_of_its_bytes(before: bytes, after: bytes, ngram: int, penalty: float) -> None:
    """Going on, going on as a fork, and starting afresh tell the same; what follows a fork does not change it."""
    options = Repetition(penalty, ngram)
    fresh, gone_on = options.start([before + after]), options.start([b"other", before])
    for byte in after:
        gone_on.penalties()  # what was asked before must not be told again
        gone_on.extend(np.array([7, byte], dtype=np.uint8))
    forked = gone_on.fork([1])
    gone_on.extend(np.array([0, 0], dtype=np.uint8))
    for one in (fresh, forked):
        assert one.allowed(EVERY)[0].tolist() == [n < ngram for n in slowly(before + after, 64)]
    told, again = fresh.penalties(), forked.penalties()
    if penalty == 1:
        assert told is again is None
    else:
        assert told is not None
        assert again is not None
        assert told.tolist() == again.tolist()


def ngrams(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(len(data) - size + 1)]


@settings(max_examples=30)
@given(FEW, st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_no_ngram_is_drawn_twice(prompt: bytes, size: int, seed: int) -> None:
    for sampler in ("ancestral", "beam", "smc"):
        drawn = compgen.sample(
            "backoff", prompt, length=20, samples=2, seed=seed, sampler=sampler, no_repeat_ngram=size
        )
        for one in drawn:
            data = prompt + one.data
            new = ngrams(data, size)[max(0, len(prompt) - size + 1) :]
            old = ngrams(data, size)[: max(0, len(prompt) - size + 1)]
            assert len(set(new)) == len(new)
            assert not set(new) & set(old)


@given(
    st.lists(st.integers(1, 1000), min_size=256, max_size=256),
    FEW,
    st.floats(0.25, 4).filter(lambda penalty: penalty != 1),
)
def test_the_penalty_divides_by_a_power(weights: list[int], history: bytes, penalty: float) -> None:
    counts = np.array([weights]) * 7  # no two tie by one count
    penalties = Repetition(penalty).start([history]).penalties()
    expected = counts / penalty ** np.array(slowly(history, 64), dtype=float)
    assert np.allclose(Shaping().apply(counts, EVERY, penalties), expected / expected.sum())
    greedy = Shaping(0).apply(counts, EVERY, penalties)[0]
    assert np.allclose(expected[0][greedy > 0], expected.max())


def test_bytes_that_tie_and_repeat_alike_still_tie() -> None:
    counts = np.full((1, 256), 65536)
    counts[0, 5] += 1  # within one count: a tie
    shaped = Shaping(top_k=1).apply(counts, EVERY, Repetition(1.3).start([b"\x01\x02"]).penalties())[0]
    assert np.flatnonzero(shaped).tolist() == [b for b in range(256) if b not in (1, 2)]


def test_a_large_penalty_does_not_underflow() -> None:
    history = b"ab" * 100
    shaped = Shaping().apply(np.full((1, 256), 65536), EVERY, Repetition(1e30).start([history]).penalties())
    assert shaped[0, ord("a")] == 0
    assert shaped.sum() == pytest.approx(1)


@pytest.mark.parametrize("sampler", ["ancestral", "beam", "smc"])
def test_off_is_off_and_on_is_on(sampler: str) -> None:
    def draw(**options: float) -> bytes:
        return compgen.sample("backoff", b"abc" * 9, length=30, seed=3, sampler=sampler, **options)[0].data  # type: ignore[arg-type]

    assert draw() == draw(repetition_penalty=1.0) == draw(no_repeat_ngram=1000)
    assert draw() != draw(repetition_penalty=2.0)


def test_beams_and_particles_follow_the_penalised_target() -> None:
    """Of the 27 continuations of 3 letters: the code of each is longer by the bits of what it repeats.

    Beams are ranked by the code of each byte among those that are allowed, particles by its code among all bytes.
    """
    prompt, penalty, model = b"abcaabb", 1.7, compgen.load("backoff:order=2")
    words = [bytes(word) for word in itertools.product(b"abc", repeat=3)]

    def length(word: bytes, among: bytes) -> float:
        state = model.start([prompt])
        bits = 0.0
        for place, byte in enumerate(word):
            log2_probs = state.log2_probs()[0]
            bits += float(np.log2(np.exp2(log2_probs[list(among)]).sum()) - log2_probs[byte])
            bits += slowly(prompt + word[:place], 64)[byte] * float(np.log2(penalty))
            state.extend(np.array([byte], dtype=np.uint8))
        return bits

    ranks = {word: length(word, b"abc") for word in words}
    lengths = {word: length(word, bytes(range(256))) for word in words}
    options = {"length": 3, "allow": "chars:abc", "repetition_penalty": penalty, "seed": 1}
    beams = compgen.sample(model, prompt, sampler="beam", samples=27, **options)  # type: ignore[arg-type]
    assert np.allclose([ranks[one.data] for one in beams], sorted(ranks.values()), atol=1e-4)
    shares = dict.fromkeys(words, 0.0)
    for one in compgen.sample(model, prompt, sampler="smc", samples=20_000, **options):  # type: ignore[arg-type]
        shares[one.data] += one.weight
    target = np.exp2([-lengths[word] for word in words])
    assert np.abs(np.array([*shares.values()]) - target / target.sum()).max() < 0.02


def test_a_prompt_that_ends_in_a_newline_is_no_longer_continued_by_newlines_alone(prose: bytes) -> None:
    """xz's law went on with a hundred newlines after these 600 bytes of English, with every seed."""

    def longest_run(**options: float) -> int:
        prompt = prose[:600].rsplit(b"\n", 1)[0] + b"\n"
        data = compgen.sample("xz", prompt, length=80, seed=1, temperature=0.5, **options)[0].data  # type: ignore[arg-type]
        return max((len(list(run)) for byte, run in itertools.groupby(data) if byte == 10), default=0)

    assert longest_run() == 80
    assert longest_run(repetition_penalty=1.3) < 40
    assert longest_run(no_repeat_ngram=8) < 8


def test_every_sampler_takes_the_options_or_refuses_them_by_name() -> None:
    for name in SAMPLERS.names():
        options = SAMPLERS.get(name).option_names()
        for option in ("repetition_penalty", "no_repeat_ngram"):
            if option in options:
                continue
            with pytest.raises(UsageError, match=f"the {name} sampler has no {option.replace('_', '-')}; it has: "):
                compgen.sample("backoff", b"ab", sampler=name, **{option: 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", ["ancestral", "beam", "smc"])
def test_a_sample_that_cannot_go_on_is_an_error_that_says_so(sampler: str) -> None:
    with pytest.raises(UsageError, match="no byte is left that no-repeat-ngram and allow both permit"):
        compgen.sample("backoff", b"", length=9, sampler=sampler, allow="chars:A", no_repeat_ngram=3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"repetition_penalty": 0.0}, "repetition-penalty must be a positive number, and 1 is off"),
        ({"repetition_penalty": float("nan")}, "repetition-penalty"),
        ({"repetition_penalty": float("inf")}, "repetition-penalty"),
        ({"no_repeat_ngram": 0}, "no-repeat-ngram must be 1 or more bytes"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, float], said: str) -> None:
    for sampler in ("ancestral", "beam", "smc"):
        with pytest.raises(UsageError, match=said):
            compgen.sample("backoff", b"ab", sampler=sampler, **options)  # type: ignore[arg-type]
