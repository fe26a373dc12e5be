"""The models ``history`` and ``signal``, and the contexts that they are made of."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.media.layout import Layout
from compgen.models import load
from compgen.models.contexts.blending import KINDS, Blend, first_escapes, kinds
from compgen.models.contexts.occurrences import Occurrences
from compgen.models.contexts.patterns import ORDERS, SPARSE, Contexts, Pattern, suffix, word_after
from compgen.models.contexts.records import ABOVE, samples_layout
from compgen.models.contexts.row import ContextRow, Plan
from compgen.models.contexts.sets import SETS
from compgen.models.contexts.weights import initial
from compgen.models.samples.prediction import PREDICTIONS
from compgen.models.window import Window
from compgen.testing import check_model

TEXT = b"the cat sat on the mat; the rat sat on the cat; the bat sat on the rat; " * 12
PATTERNS: tuple[Pattern, ...] = (
    suffix(1),
    suffix(2),
    suffix(4),
    ((2, 255),),
    ((1, 254), (2, 252)),
    ((7, 255), (1, 252)),
)
PLAN = Plan(Window(50), Layout(), 32)


@pytest.mark.parametrize(
    "spec",
    [
        "history",
        "history:window=40",
        "history:stride=16",
        "signal",
        "signal:stride=12,pixel=3",
        "signal:pixel=4,depth=16",
        "signal:pixel=2,window=64",
        "gzip:rule=decoder+history",
    ],
)
def test_conforms(spec: str) -> None:
    check_model(load(spec))
    assert str(load(spec)) == spec
    data = TEXT[:200] + bytes(range(50))
    assert compgen.decompress(compgen.compress(data, spec)) == data


def occurrences(data: bytes, known: int, most: int, patterns: tuple[Pattern, ...] = PATTERNS) -> Occurrences:
    """Occurrences in ``data``, of which ``known`` bytes are there at the start, where each counts alike."""
    contexts = Contexts(patterns, words=False)
    limits, worth = np.full(len(patterns), most), np.ones(most, dtype=np.int64)
    grown = Occurrences(contexts, data[:known], limits, worth)
    for symbol in data[known:]:
        grown.append(symbol)
    return grown


@given(st.binary(max_size=1500).map(lambda data: bytes(b & 3 for b in data)), st.integers(0, 300), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_occurrences_are_what_a_search_finds(data: bytes, known: int, most: int) -> None:
    found = occurrences(data, known, most).counts()
    padded, end = bytes(7) + data, 7 + len(data)
    for number, pattern in enumerate(PATTERNS):
        places = [
            place
            for place in range(7, end)
            if all(padded[place - lag] & mask == padded[end - lag] & mask for lag, mask in pattern)
        ][-most:]
        assert found.sizes[number] == len(places)
        counts = np.bincount([padded[place] for place in places], minlength=256)
        assert np.array_equal(found.weights[number], counts)
        assert found.distinct[number] == np.count_nonzero(counts)
        if places:
            assert found.latest[number] == places[-1]


def test_words_are_letters_in_either_case_and_the_word_before() -> None:
    def after(text: bytes) -> tuple[int, int]:
        word = (0, 0)
        for symbol in text:
            word = word_after(word, symbol)
        return word

    assert after(b"see the Cat") == after(b"We saw THE, 99: cat")
    assert after(b"see the cat") != after(b"see a cat")
    assert after(b"see the cat") != after(b"see the cats")
    assert after(b"the cat, ") == (0, after(b"cat")[0])
    contexts = Contexts([suffix(1)], words=True)
    data = np.frombuffer(b"\x00the cat saw a cat", dtype=np.uint8)
    keys, word = contexts.all_keys(data, 1, len(data))
    assert np.array_equal(keys[:, 7], contexts.keys(data, 8, after(b"the cat")))
    assert word == after(b"the cat saw a cat")
    assert keys[1, 7] == contexts.keys(data, len(data), word)[1]
    assert keys[2, 7] != contexts.keys(data, len(data), word)[2], "another word stands before"


def test_a_run_is_how_far_back_the_latest_occurrence_agrees() -> None:
    grown = occurrences(b"xxabcdefg--yabcdefg", 5, 9)
    latest = int(grown.counts().latest[0])
    assert grown.run(latest, 400) == 7
    assert grown.run(latest, 3) == 3
    assert occurrences(b"aaaa", 2, 9).run(1 + 7, 400) == 1, "no further than the window begins"


def test_a_fork_of_occurrences_is_its_own_and_one_that_is_frozen_counts_no_more() -> None:
    grown = occurrences(b"abab", 2, 9, (suffix(1),))
    fork = grown.fork()
    fork.append(97)
    grown.append(98)
    assert (grown.window, fork.window) == (b"ababb", b"ababa")
    assert np.flatnonzero(fork.counts().weights[0]).tolist() == [98]
    assert np.flatnonzero(grown.counts().weights[0]).tolist() == [97, 98]
    grown.freeze()
    frozen = grown.fork()
    for each in (grown, frozen):
        for symbol in b"cab":
            each.append(symbol)
        assert np.flatnonzero(each.counts().weights[0]).tolist() == [97, 98], "no c"
        assert each.window == b"ababbcab"


def test_shares_are_blended_and_escapes_move_towards_what_came_from_the_shorter_context() -> None:
    grown = occurrences(b"abababab", 8, 9, (suffix(1), suffix(2)))
    found = grown.counts()
    kind = kinds(found)
    blend = Blend(np.array([0, 1]), first_escapes(2))
    shares = np.zeros((3, 256), dtype=np.int64)
    shares[0] = 1 << 22
    blend.fill(found, kind, shares)
    escape = blend.escapes[0, kind[0]] / 2**16
    assert shares[1, 97] == pytest.approx(2**30 * ((1 - escape) + escape / 256), rel=1e-4)
    assert shares[1, 98] == pytest.approx(2**30 * escape / 256, rel=1e-3)
    assert (shares.sum(axis=1) <= 1 << 30).all()
    assert shares.min() > 0
    fork, before = blend.fork(), blend.escapes.copy()
    fork.fill(found, kind, shares)
    blend.learn(97)
    fork.learn(122)
    used = np.arange(2), kind
    assert (blend.escapes[used] < before[used]).all()
    assert (fork.escapes[used] > before[used]).all()
    untouched = np.ones((2, KINDS), dtype=bool)
    untouched[used] = False
    assert np.array_equal(blend.escapes[untouched], before[untouched])
    fork.freeze()
    kept = fork.escapes.copy()
    fork.learn(97)
    assert np.array_equal(fork.escapes, kept)


@pytest.mark.parametrize("layout", [Layout(), Layout(0, 1), Layout(6, 3)])
def test_a_start_is_a_fresh_start_extended_by_the_warm_up(layout: Layout) -> None:
    plan = Plan(Window(300), layout, 100)
    data = bytes(np.random.default_rng(1).integers(0, 9, 840, dtype=np.uint8))
    row = ContextRow(plan, data[300:740], offset=300)
    for symbol in data[740:]:
        row.extend(symbol)
    assert np.array_equal(ContextRow.after(plan, data).frequencies(), row.frequencies())
    assert load("history").warm_up == 2048
    assert load("signal").warm_up == 1024


def test_a_window_that_is_full_starts_again_at_its_last_half_and_keeps_what_it_learnt() -> None:
    row = ContextRow(PLAN, TEXT[:60])  # too short for a record length
    for symbol in TEXT[60:100]:
        row.extend(symbol)
    learnt = row.mixer.families
    fresh = ContextRow(PLAN, TEXT[50:100], first=initial("bytes")._replace(weights=tuple(learnt)))
    fresh.blend = row.blend.fork()
    assert np.array_equal(row.frequencies(), fresh.frequencies())
    assert any((a != b).any() for a, b in zip(learnt, initial("bytes").weights, strict=True))


def test_a_row_that_is_frozen_keeps_what_it_learnt_and_so_do_its_forks() -> None:
    row = ContextRow(PLAN, TEXT[:60])
    row.extend(TEXT[60])
    weights, escapes = [family.copy() for family in row.mixer.families], row.blend.escapes.copy()
    row.freeze()
    fork = row.fork()
    for each in (row, fork):
        for symbol in TEXT[61:200]:  # the window reopens on the way
            each.extend(symbol)
        assert all(map(np.array_equal, each.mixer.families, weights))
        assert np.array_equal(each.blend.escapes, escapes)


def test_records_are_found_and_their_contexts_help() -> None:
    generator = np.random.default_rng(5)
    row = generator.integers(0, 256, 40, dtype=np.uint8)
    rows = []
    for _ in range(80):
        row = row.copy()
        row[generator.integers(0, 40, 16)] = generator.integers(0, 256, 16)
        rows.append(row.tobytes())
    table = b"".join(rows)
    told = compgen.score("history:stride=40", table[2800:], table[:2800]).derived_bpb
    found = compgen.score("history", table[2800:], table[:2800]).derived_bpb
    wrong = compgen.score("history:stride=39", table[2800:], table[:2800]).derived_bpb
    assert told < wrong - 0.3
    assert found < wrong - 0.3


def test_history_is_stronger_than_a_compressor_and_lifts_its_law(prose: bytes) -> None:
    context, data = prose[:4000], prose[4000:4500]
    gzip = compgen.score("gzip:rule=decoder", data, context)
    alone = compgen.score("history", data, context).derived_bpb
    assert gzip.own_bpb is not None
    assert alone < 0.9 * gzip.own_bpb
    both = compgen.score("gzip:rule=decoder+history", data, context).derived_bpb
    assert both < min(alone, gzip.derived_bpb) + 0.01


def test_sampling_finds_back_from_a_byte_never_seen(prose: bytes) -> None:
    """alice29.txt ends in a control byte. A model that is flat after it goes on in noise, at over 6 bits per byte."""
    drawn = compgen.sample("history", prose + b"\x1a", length=60, seed=1)
    assert drawn[0].bits_per_byte is not None
    assert drawn[0].bits_per_byte < 4


@pytest.mark.parametrize("seed", [3, 6])
def test_a_row_that_learns_from_its_own_sample_does_not_fall_into_noise(prose: bytes, seed: int) -> None:
    """Without a bound on what its weights learn in common, one sample of each seed ends in noise, at 4 bits a byte."""
    for sample in compgen.sample("history", prose[-4000:], length=600, samples=3, seed=seed):
        assert sample.bits_per_byte is not None
        assert sample.bits_per_byte < 3
        assert sum(byte >= 128 or byte < 9 for byte in sample.data[-200:]) < 6


def test_signal_is_stronger_on_samples_and_takes_the_layout_of_its_medium() -> None:
    noise = np.random.default_rng(8)
    y, x = np.mgrid[:40, :40]
    gray = 128 + 60 * np.sin(x / 9 + y / 7) + 40 * np.sin(y / 11) + noise.normal(0, 2, (40, 40))
    picture = np.clip(gray, 0, 255).astype(np.uint8).tobytes()
    model = load("signal", layout=Layout(40, 1))
    assert str(model) == "signal:stride=40"
    assert str(load("signal", layout=Layout(0, 2, 16))) == "signal:pixel=4,depth=16"
    assert str(load("signal:pixel=2", layout=Layout(40, 1))) == "signal:pixel=2"
    assert str(load("signal", layout=Layout())) == "signal"
    assert str(load("history", layout=Layout(40, 1))) == "history:stride=40"
    seen = compgen.score(model, picture[1200:], picture[:1200]).derived_bpb
    assert seen < compgen.score("history:stride=40", picture[1200:], picture[:1200]).derived_bpb - 0.5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("history:stride=-1", "stride must be"),
        ("history:window=0", "window must be"),
        ("history:pixel=1", "no option 'pixel'"),
        ("signal:pixel=0", "signal:pixel must be"),
        ("signal:pixel=17", "pixel must be 0 to 16"),
        ("signal:stride=10,pixel=3", "divide the stride"),
        ("signal:pixel=3,depth=16", "whole samples"),
        ("signal:depth=12", "depth must be 8 or 16"),
        ("signal:window=-4", "window must be"),
        ("histroy", "did you mean 'history'"),
    ],
)
def test_wrong_options_are_named(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(spec)
    assert samples_layout(0, 0, 8) == Layout()


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_shipped_weights_fit_the_contexts(name: str) -> None:
    contexts = {"bytes": len(ORDERS) + len(SPARSE) + 2, "rows": len(ORDERS) + ABOVE, "line": len(ORDERS)}[name]
    experts = 1 + contexts + (0 if name == "bytes" else PREDICTIONS)
    fitted = initial(name)
    assert [family.shape for family in fitted.weights] == [(sets, experts) for sets in SETS[name]]
    assert fitted.escapes.shape == (contexts, KINDS)


def test_a_long_prompt_is_opened_in_little_time(prose: bytes) -> None:
    """The first byte after 32 KB comes within two seconds without compiled loops; a shared core may take longer."""
    prompt = (prose * 10)[:32_768]
    begin = time.process_time()
    load("history").start([prompt]).frequencies()
    assert time.process_time() - begin < 4
