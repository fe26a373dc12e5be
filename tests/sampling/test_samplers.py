"""Samplers follow targets that can be enumerated. Seeds are fixed; each statistical test states its error rate."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

import compgen
from compgen.compressors import COMPRESSORS
from compgen.compressors.deflate import Gzip
from compgen.errors import UsageError
from compgen.media import Layout
from compgen.models import load
from compgen.sampling import SAMPLERS, sample, sampler_with
from compgen.sampling.ancestral import Ancestral
from compgen.sampling.smc import SequentialMonteCarlo, systematic
from compgen.testing import check_sampler

ALPHABET = b"ab "
PROMPT = b"abba baab abba baa abba b" * 3


def enumerated(spec: str, length: int, temperature: float = 1.0) -> dict[bytes, float]:
    """Return the exact distribution of continuations over ALPHABET, byte by byte under the model."""
    model = load(spec)
    found = {}
    for word in itertools.product(ALPHABET, repeat=length):
        state = model.start([PROMPT])
        probability = 1.0
        for symbol in word:
            weights = state.frequencies()[0, list(ALPHABET)] ** (1 / temperature)
            probability *= weights[ALPHABET.index(symbol)] / weights.sum()
            state.extend(np.array([symbol], dtype=np.uint8))
        found[bytes(word)] = probability
    return found


@pytest.mark.parametrize("spec", [*SAMPLERS.names(), "ancestral:temperature=0.7,top_k=20", "smc:threshold=1"])
def test_conforms(spec: str) -> None:
    check_sampler(SAMPLERS.build(spec))


@pytest.mark.parametrize("spec", SAMPLERS.names())
def test_conforms_under_the_decoders_rule(spec: str) -> None:
    check_sampler(SAMPLERS.build(spec), load("gzip:rule=decoder"))


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_ancestral_follows_the_enumerated_target(temperature: float) -> None:
    """Chi-square at level 1e-4: a correct sampler fails for one seed in ten thousand."""
    exact = enumerated("backoff:order=2", 3, temperature)
    count = 3000
    drawn = sample("backoff:order=2", PROMPT, length=3, samples=count, seed=11, temperature=temperature,
                   allow="chars:ab ")  # fmt: skip
    seen = Counter(one.data for one in drawn)
    words = [word for word, p in exact.items() if p * count >= 5]
    observed = [seen[word] for word in words] + [count - sum(seen[word] for word in words)]
    expected = [exact[word] * count for word in words]
    expected.append(count - sum(expected))
    keep = [i for i, e in enumerate(expected) if e > 1e-6]
    result = stats.chisquare([observed[i] for i in keep], [expected[i] for i in keep])
    assert result.pvalue > 1e-4


def test_ancestral_over_gzip_follows_the_enumerated_target() -> None:
    """Chi-square at level 1e-4."""
    exact = enumerated("gzip:rule=one-step", 2)
    drawn = sample("gzip:rule=one-step", PROMPT, length=2, samples=2000, seed=5, allow="chars:ab ")
    seen = Counter(one.data for one in drawn)
    words = list(exact)
    assert stats.chisquare([seen[w] for w in words], [exact[w] * 2000 for w in words]).pvalue > 1e-4


@pytest.mark.parametrize("rule", ["calibrated", "decoder"])
def test_ancestral_over_other_rules_follows_the_enumerated_target(rule: str) -> None:
    """Chi-square at level 1e-4."""
    exact = enumerated(f"gzip:rule={rule}", 2)
    drawn = sample("gzip", PROMPT, rule=rule, length=2, samples=400, seed=5, allow="chars:ab ")
    seen = Counter(one.data for one in drawn)
    words = [word for word, p in exact.items() if p * 400 >= 5]
    observed = [seen[word] for word in words] + [400 - sum(seen[word] for word in words)]
    expected = [exact[word] * 400 for word in words]
    expected.append(400 - sum(expected))
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_a_wrong_sampler_would_be_caught() -> None:
    """The control of the tests above: samples at another temperature fail them."""
    exact = enumerated("backoff:order=2", 2)
    drawn = sample("backoff:order=2", PROMPT, length=2, samples=3000, seed=5, temperature=1.3, allow="chars:ab ")
    seen = Counter(one.data for one in drawn)
    words = [word for word, p in exact.items() if p * 3000 >= 5]
    expected = np.array([exact[word] for word in words])
    observed = np.array([seen[word] for word in words])
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue < 1e-6


def test_beam_finds_the_most_probable_words_when_it_is_wide_enough() -> None:
    exact = enumerated("backoff:order=2", 3)
    drawn = sample("backoff:order=2", PROMPT, length=3, samples=27, sampler="beam", seed=1, allow="chars:ab ")
    assert {one.data for one in drawn} == set(exact)
    probabilities = [exact[one.data] for one in drawn]
    assert np.allclose(probabilities, sorted(probabilities, reverse=True), rtol=1e-5)
    more = sample("backoff:order=2", PROMPT, length=3, samples=500, sampler="beam", seed=1, allow="chars:ab ")
    assert len(more) == 27, "there are no more than 27 words"


def test_beam_breaks_ties_by_the_seed_alone() -> None:
    firsts = {sample("uniform", b"", length=1, sampler="beam", seed=seed)[0].data for seed in range(20)}
    assert len(firsts) > 10


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_smc_follows_the_whole_continuation_target(temperature: float) -> None:
    """The target is 2**(-L(context w) / T), enumerated with real gzip lengths.

    Each of the 27 shares must be within five standard errors, by ten independent runs: a right sampler
    fails with a probability under 1e-4.
    """
    compressor = COMPRESSORS.build("gzip")
    words = [bytes(word) for word in itertools.product(ALPHABET, repeat=3)]
    lengths = np.array([compressor.code_length(PROMPT + word) for word in words])
    target = np.exp2(-(lengths - lengths.min()) / temperature)
    target /= target.sum()
    runs = []
    for seed in range(10):
        drawn = sample("gzip:rule=one-step", PROMPT, length=3, samples=1500, sampler="smc", seed=seed,
                       temperature=temperature,
                       allow="chars:ab ")  # fmt: skip
        shares: Counter[bytes] = Counter()
        for one in drawn:
            shares[one.data] += one.weight  # type: ignore[assignment]
        runs.append([shares[word] for word in words])
    mean = np.mean(runs, axis=0)
    error = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    assert np.all(np.abs(mean - target) < 5 * error + 0.003)
    ancestral = enumerated("gzip:rule=one-step", 3, temperature)
    assert np.abs(mean - target).sum() < 0.5 * np.abs(np.array([ancestral[w] for w in words]) - target).sum(), (
        "the target of smc must be told from that of ancestral sampling"
    )


def test_beam_breaks_ties_of_rare_bytes_by_the_seed_too() -> None:
    """If two bytes tied 20 bits below the best, one count between them once decided 40 of 40 seeds."""
    firsts = set()
    for seed in range(20):
        drawn = sample("backoff:order=0", b"a" * 4000, length=1, sampler="beam", seed=seed, allow=r"chars:\x00\xff")
        firsts.add(drawn[0].data)
    assert firsts == {b"\x00", b"\xff"}


def test_beams_that_stop_are_set_aside_once_and_ranked() -> None:
    drawn = sample("backoff:order=3", "abcabcabcabd" * 4, length=4, samples=40, sampler="beam", stop="c", seed=1)
    made = [one.data for one in drawn]
    assert len(set(made)) == len(made) == 40
    assert [one.stopped for one in drawn if one.data == b"ab"] == [True]
    assert not [data for data in made if b"c" in data]


def test_smc_over_a_normalised_model_has_even_weights() -> None:
    drawn = sample("backoff", PROMPT, length=5, samples=50, sampler="smc", seed=3, allow="bytes")
    assert np.allclose([one.weight for one in drawn], 1 / 50)


def test_systematic_resampling_keeps_every_share_to_within_one() -> None:
    weights = np.array([0.5, 0.3, 0.2, 0.0])
    for uniform in (0.0, 0.4, 0.999999):
        counts = np.bincount(systematic(weights, uniform), minlength=4)
        assert np.all(np.abs(counts - 4 * weights) <= 1)
        assert counts[3] == 0


@pytest.mark.parametrize(
    "spec",
    [
        "gzip:rule=calibrated",
        "gzip:rule=one-step",
        "gzip:rule=decoder",
        "backoff",
        "zstd-dict",
        "ppmd:memory=1",
        "gzip+zstd",
    ],
)
def test_a_row_is_the_same_whatever_the_batch(spec: str) -> None:
    many = sample(spec, PROMPT, length=6, samples=5, seed=9, temperature=2)
    few = sample(spec, PROMPT, length=6, samples=2, seed=9, temperature=2)
    assert [one.data for one in few] == [one.data for one in many[:2]]
    assert len({one.data for one in many}) > 1
    assert len({sample(spec, PROMPT, length=6, seed=seed, temperature=2)[0].data for seed in (9, 10, 11)}) > 1


def test_a_stop_string_ends_a_row_and_is_no_part_of_it() -> None:
    whole = sample("backoff", PROMPT, length=60, samples=6, seed=2)
    stopped = sample("backoff", PROMPT, length=60, samples=6, seed=2, stop=["b a", "aab"])
    ended = 0
    for before, after in zip(whole, stopped, strict=True):
        ends = [position for stop in (b"b a", b"aab") if (position := before.data.find(stop)) >= 0]
        # The stop that is complete first ends the row, at its own beginning.
        if ends:
            ended += 1
            assert after.stopped
            assert before.data.startswith(after.data)
            assert len(after.data) in ends
            assert len(after.surprisals) == len(after.data)
        else:
            assert after.data == before.data
    assert ended >= 2


@pytest.mark.parametrize("sampler", ["ancestral", "beam", "smc"])
def test_a_watch_is_never_shown_what_a_stop_takes_back(sampler: str) -> None:
    shown = bytearray()
    drawn = sample("backoff", PROMPT, length=40, seed=4, sampler=sampler, stop="b abb",
                   watch=lambda made, final: shown.extend(final))  # fmt: skip
    if sampler == "ancestral":
        assert bytes(shown) == drawn[0].data
    assert b"b abb" not in drawn[0].data


@pytest.mark.parametrize("sampler", ["ancestral", "beam", "smc", "decode"])
def test_text_is_continued_as_text(sampler: str) -> None:
    """The default for a prompt in UTF-8. A character that the length cuts is dropped."""
    prompt = "naïve café, Übergröße, 日本語のテキスト, 🙂🙃 ".encode() * 4
    cut = 0
    for length in range(1, 12):
        drawn = sample("backoff:order=1", prompt, length=length, samples=8, seed=length, sampler=sampler)
        assert "allow=utf-8" in str(drawn.sampler)
        for one in drawn:
            one.data.decode()
            assert length - 3 <= len(one.data) == len(one.surprisals) <= length
            cut += len(one.data) < length
        assert len({one.data for one in drawn}) == len(drawn) or sampler != "beam"
        if sampler != "smc":
            assert sum(one.weight for one in drawn) == pytest.approx(1)
    assert cut


def test_a_prompt_cut_inside_a_character_goes_on_inside_it() -> None:
    prompt = ("日本語のテキスト。" * 20).encode()
    drawn = sample("gzip", prompt[1:-2], length=20, samples=3, seed=1)
    assert "allow=utf-8" in str(drawn.sampler)
    for one in drawn:
        (prompt[:-2] + one.data).decode()
        assert one.data.startswith(prompt[-2:])


@pytest.mark.parametrize(
    ("prompt", "layout", "name"),
    [
        (b"", None, "ancestral:allow=utf-8"),
        ("Ἐν ἀρχῇ".encode(), Layout(), "ancestral:allow=utf-8"),
        ([b"plain", "né".encode()], None, "ancestral:allow=utf-8"),
        ([b"plain", b"\xff\xfe"], None, "ancestral:allow=bytes"),
        (b"plain\0", None, "ancestral:allow=bytes"),
        ("né!".encode("latin-1"), None, "ancestral:allow=bytes"),
        (b"\x80", None, "ancestral:allow=bytes"),
        (b"plain", Layout(0, 1), "ancestral"),
    ],
)
def test_what_counts_as_text(prompt: bytes | list[bytes], layout: Layout | None, name: str) -> None:
    drawn = sample("backoff", prompt, length=1, seed=1, layout=layout)
    assert str(drawn.sampler) == name
    bytewise = sample("backoff", prompt, length=30, seed=1, layout=layout, allow="bytes")
    if name != "ancestral:allow=utf-8":
        again = sample("backoff", prompt, length=30, seed=1, layout=layout)
        assert [one.data for one in again] == [one.data for one in bytewise]


def test_surprisals_are_those_of_the_bytes_that_are_allowed() -> None:
    for sampler in ("ancestral", "beam", "smc", "decode"):
        drawn = sample("backoff:order=1", PROMPT, length=3, samples=4, seed=2, sampler=sampler, allow="chars:ab")
        for one in drawn:
            state, bits = load("backoff:order=1").start([PROMPT]), []
            for symbol in one.data:
                shares = np.exp2(state.log2_probs()[0])
                bits.append(-np.log2(shares[symbol] / (shares[97] + shares[98])))
                state.extend(np.array([symbol], np.uint8))
            assert np.allclose(one.surprisals, bits, atol=1e-4)


def test_greedy_does_not_depend_on_the_seed_where_nothing_ties() -> None:
    made = {sample("backoff", PROMPT, length=5, seed=seed, temperature=0)[0].data for seed in range(4)}
    assert len(made) == 1


def test_results_know_themselves() -> None:
    drawn = compgen.sample("gzip:level=6", "hello, hello", length=4, seed=3, temperature=0.5)
    assert (str(drawn.model), str(drawn.sampler), drawn.seed) == (
        "gzip:level=6,rule=decoder",
        "ancestral:temperature=0.5,allow=utf-8",
        3,
    )
    one = drawn[0]
    assert one.bits_per_byte == pytest.approx(one.bits / 4)
    assert drawn._repr_html_().count("<pre") == 1
    assert sample("uniform", length=0, seed=1)[0].bits_per_byte is None


def test_options_stay_typed_and_win_over_the_spec() -> None:
    spec = "ancestral:temperature=0.5,top_k=3"
    built = sampler_with(spec, {"temperature": 0.1, "frozen": True, "allow": "chars:a,b", "top_p": None})
    assert built == Ancestral(temperature=0.1, top_k=3, allow="chars:a,b", frozen=True)
    # 0.1 + 0.2 has more digits than most spellings keep.
    assert sampler_with("smc", {"temperature": 0.1 + 0.2}) == SequentialMonteCarlo(temperature=0.1 + 0.2)
    assert sampler_with("ancestral:top_k=x", {"top_k": 5}) == Ancestral(top_k=5)
    with pytest.raises(
        UsageError, match="the beam sampler has no top-k; it has: repetition-penalty, no-repeat-ngram, allow"
    ):
        sampler_with("beam", {"top_k": 5})
    with pytest.raises(UsageError, match="must be a whole number"):
        sampler_with("ancestral:top_k=x", {"top_p": 0.5})


def test_html_is_escaped() -> None:
    drawn = sample("uniform", length=40, seed=1, allow="chars:<script>&\"'")
    page = drawn._repr_html_()
    assert "<script" not in page
    assert "&lt;" in page


def test_without_a_seed_the_seed_is_told_and_gives_the_sample_again() -> None:
    first = sample("backoff", PROMPT, length=20)
    assert sample("backoff", PROMPT, length=20, seed=first.seed)[0].data == first[0].data
    assert sample("backoff", PROMPT, length=20)[0].data != first[0].data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampler": "beem"}, "did you mean 'beam'"),
        (
            {"sampler": "beam", "temperature": 0.5},
            "the beam sampler has no temperature; it has: repetition-penalty, no-repeat-ngram, allow; "
            "temperature goes with sampler ancestral or smc",
        ),
        ({"sampler": "smc", "temperature": 0}, "use beam"),
        ({"sampler": "smc:threshold=2"}, "between 0 and 1"),
        ({"sampler": "smc", "temperature": 1e-308}, "0.01 or more"),
        ({"length": -1}, "length must be 0 or more"),
        ({"samples": 0}, "samples must be 1 or more"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"stop": ""}, "must not be empty"),
        ({"prompt": 5}, "prompt must be bytes, text or a sequence of them, not 5"),
        ({"prompt": "\ud800"}, "half a surrogate pair"),
        ({"stop": 5}, "stop must be bytes, text or a sequence of them, not 5"),
        ({"compressor": 5}, "compressor must be text, a Spec, a Compressor or a ByteModel, not 5"),
        ({"compressor": Gzip}, "a Compressor or a ByteModel, not ABCMeta"),
        ({"rule": "two-step"}, "did you mean 'one-step'"),
        ({"sampler": SAMPLERS.build("beam"), "top_k": 3}, "give a sampler's options to the sampler"),
    ],
)
def test_wrong_requests_name_their_fix(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sample(**{"compressor": "gzip", "prompt": b"prompt", "length": 2, **options})  # type: ignore[arg-type]
