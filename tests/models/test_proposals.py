"""The calibrated rule over a compressor without a law: proposals of contexts, priced by its code lengths."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compgen
from compgen.compressors import COMPRESSORS
from compgen.media.layout import Layout
from compgen.models import load
from compgen.models.contexts.patterns import suffix
from compgen.models.contexts.records import period
from compgen.models.derived import experts
from compgen.models.derived.effort import BEST, EFFORTS, FAST
from compgen.models.derived.history import History
from compgen.models.derived.prices import Prices
from compgen.models.derived.proposals import WARM_UP, Proposals, ProposalsRow
from compgen.models.derived.weights import initial_weights
from compgen.models.mixing import WEIGHT_ONE
from compgen.models.window import Window
from compgen.powers import FRACTION
from compgen.testing import check_model
from tests.conftest import ROOT

TEXT = b"the cat sat on the mat; the rat sat on the cat; the bat sat on the rat; " * 12


@pytest.mark.parametrize("spec", ["bz2", "bz2:window=40", "bz2:effort=best", "bz2:stride=16", "bz2+bz2:level=1"])
def test_conforms(spec: str) -> None:
    check_model(load(spec, rule="calibrated"))


def test_its_dial_is_in_the_spec_and_names_it() -> None:
    assert load("bz2") == load("bz2:effort=fast")
    assert load("bz2:effort=best").resolved() == load("bz2:rule=calibrated,effort=best")
    assert str(load("bz2", effort="best")) == "bz2:effort=best"
    assert str(load("bz2", rule="one-step")) == "bz2:rule=one-step"
    with pytest.raises(ValueError, match="did you mean 'best'"):
        load("bz2:effort=bests")
    with pytest.raises(ValueError, match="effort is for the calibrated rule"):
        load("bz2:rule=one-step,effort=best")


def test_it_codes_better_than_the_compressor_it_came_from(prose: bytes) -> None:
    result = compgen.score("bz2", prose[4500:4900], prose[:4500])
    assert result.own_bpb is not None
    assert result.derived_bpb < result.own_bpb


def test_a_start_is_a_fresh_start_extended_by_the_warm_up() -> None:
    bz2 = COMPRESSORS.build("bz2")
    row = ProposalsRow(Proposals(bz2, FAST, Window(32768), Layout()), TEXT[:-WARM_UP])
    for symbol in TEXT[-WARM_UP:]:
        row.extend(symbol)
    assert np.array_equal(load(bz2, rule="calibrated").start([TEXT]).frequencies()[0], row.frequencies())


def test_a_window_that_is_full_starts_again_at_its_last_half_and_keeps_what_it_learnt() -> None:
    rule = Proposals(COMPRESSORS.build("bz2"), FAST, Window(50), Layout())
    row = ProposalsRow(rule, TEXT[:60])  # too short for a record length
    for symbol in TEXT[60:100]:
        row.extend(symbol)
    learnt = [family.copy() for family in row.mixer.families]
    fresh = ProposalsRow(rule, TEXT[50:100], learnt)
    fresh._prices.table[:] = row._prices.table
    assert np.array_equal(row.frequencies(), fresh.frequencies())
    assert any((a != b).any() for a, b in zip(learnt, initial_weights("fast"), strict=True))


def test_a_row_that_is_frozen_keeps_its_weights_and_so_do_its_forks() -> None:
    rule = Proposals(COMPRESSORS.build("bz2"), FAST, Window(50), Layout())
    row = ProposalsRow(rule, TEXT[:60])
    row.extend(TEXT[60])
    learnt = [family.copy() for family in row.mixer.families]
    row.freeze()
    fork = row.fork()
    for each in (row, fork):
        for symbol in TEXT[61:200]:  # the window reopens on the way
            each.extend(symbol)
        assert all(map(np.array_equal, each.mixer.families, learnt))
    assert any(map(np.any, (a != b for a, b in zip(learnt, initial_weights("fast"), strict=True))))


def test_code_values_are_ppmds_own_probabilities(prose: bytes) -> None:
    """The gaps between the codes of all 256 bytes add up, over a text, to what PPMd itself spends on it."""
    ppmd = COMPRESSORS.build("ppmd")
    assert Proposals(ppmd, BEST, Window(8192), Layout()).has_code_values
    context, data = prose[:1500], prose[1500:1530]
    bits = 0.0
    for position, symbol in enumerate(data):
        shares = experts.code_shares(ppmd.open(context + data[:position]))
        assert (shares >= 0).all()
        bits -= np.log2((shares[symbol] + 1) / (shares + 1).sum())
    spent = ppmd.code_length(context + data) - ppmd.code_length(context)
    assert abs(bits - spent) < 8 + 0.03 * spent


def test_a_layout_sees_the_byte_above() -> None:
    """Each row of noise is the row above with some bytes changed. Only a model that knows the rows can predict it."""
    generator = np.random.default_rng(5)
    row = generator.integers(0, 256, 40, dtype=np.uint8)
    rows = []
    for _ in range(60):
        row = row.copy()
        row[generator.integers(0, 40, 24)] = generator.integers(0, 256, 24)
        rows.append(row.tobytes())
    picture = b"".join(rows)
    flat = compgen.score("bz2", picture[2000:], picture[:2000]).derived_bpb
    laid = compgen.score("bz2:stride=40", picture[2000:], picture[:2000]).derived_bpb
    assert laid < flat - 0.3
    with pytest.raises(ValueError, match="stride must be"):
        load("bz2:stride=-1")


def test_sampling_finds_back_from_a_byte_never_seen(prose: bytes) -> None:
    """alice29.txt ends in a control byte; bz2 once went on from it in noise, at over 6 bits per byte."""
    drawn = compgen.sample("bz2:window=2048", prose + b"\x1a", length=60, seed=1)
    assert drawn[0].bits_per_byte is not None
    assert drawn[0].bits_per_byte < 4.5


def test_the_window_grows_whatever_a_compiled_loop_holds_on_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing numba keeps frames alive. One kept a view of the window, which could not grow then: a run failed."""
    held: list[object] = []

    loop = experts._blend_lookaheads

    def greedy(*arguments: Any) -> None:
        held.append((arguments, inspect.currentframe()))
        loop(*arguments)

    monkeypatch.setattr(experts, "_blend_lookaheads", greedy)
    state = load("bz2").start([b"a window that grows, a window "])
    for symbol in np.frombuffer(b"that grows", dtype=np.uint8):
        state.extend(symbol.reshape(1))
    assert len(held) > 10


def test_a_period_is_found_where_one_stands_out(prose: bytes) -> None:
    generator = np.random.default_rng(3)
    records = generator.integers(0, 256, (300, 17), dtype=np.uint8)
    records[:, 3:12] = 7, 1, 9, 4, 200, 0, 0, 3, 8
    assert period(records.tobytes()) == 17
    assert period(prose) == 0
    assert period(generator.bytes(5000)) == 0
    assert period(bytes(5000)) == 0
    assert period(b"abc" * 100) == 0, "too short to tell"


@pytest.mark.parametrize("effort", sorted(EFFORTS))
def test_the_shipped_weights_fit_the_experts(effort: str) -> None:
    families = initial_weights(effort)
    count = experts.FIRST_LOOKAHEAD + len(experts.lookaheads(EFFORTS[effort], Layout()))
    assert [family.shape for family in families] == [(sets, count) for sets in experts.SETS]


@pytest.mark.parametrize("effort", sorted(EFFORTS))
def test_where_the_last_byte_is_new_a_text_trusts_recent_bytes_alone(effort: str) -> None:
    first, *others = (family[0] for family in initial_weights(effort))
    assert first[experts.RECENT] == WEIGHT_ONE
    assert np.count_nonzero(first) == 1
    assert not any(np.any(chosen) for chosen in others)


@given(st.binary(max_size=300).map(lambda data: bytes(b & 3 for b in data)), st.integers(0, 300), st.integers(1, 9))
@settings(max_examples=60)
def test_history_finds_what_a_search_finds(data: bytes, split: int, most: int) -> None:
    contexts = [suffix(1), suffix(2), suffix(4), ((2, 255),), ((1, 254), (2, 252)), ((7, 255), (1, 252))]
    history = History(data[:split], contexts)
    for symbol in data[split:]:
        history.append(symbol)
    end = len(data)
    for number, masks in enumerate(contexts):
        found = [
            position
            for position in range(max(masks)[0], end)
            if all(data[position - lag] & m == data[end - lag] & m for lag, m in masks)
        ]
        assert history.occurrences(number, most) == found[-most:]


@given(
    st.binary(max_size=200).map(lambda data: bytes(b & 3 for b in data)),
    st.binary(max_size=60).map(lambda data: bytes(b & 3 for b in data)),
    st.integers(1, 9),
)
@settings(max_examples=60)
def test_a_dictionary_is_what_came_before_all(dictionary: bytes, data: bytes, most: int) -> None:
    orders = (1, 2, 5, 8, 11)
    history = History(data[:20], [*map(suffix, orders), ((1, 254), (2, 252))], dictionary)
    for symbol in data[20:]:
        history.append(symbol)
    assert history.window_size == len(data)
    whole = dictionary + data
    end = len(whole)
    for number, order in enumerate(orders):
        first = len(dictionary) if order == 11 else 8  # what is longest is looked for in the window alone
        key = whole[end - order :]
        places = [p for p in range(order, end) if p >= min(first, len(dictionary))]
        same = [p for p in places if whole[p - order : p] == key]
        assert history.occurrences(number, most) == same[-most:]
    assert all(p >= len(dictionary) for p in history.occurrences(len(orders), most))


def test_a_dictionary_gives_no_occurrences_of_a_context_that_only_begins_alike() -> None:
    """Suffixes are ranges of 64-bit keys. The first key after the range of "a" is that of "b" after seven zeros."""
    dictionary = bytes(7) + b"b; a "
    assert History(b"a", [suffix(1)], dictionary).occurrences(0, 9) == [11]


def test_a_fork_of_a_history_is_its_own() -> None:
    history = History(b"abab", [suffix(1)])
    fork = history.fork()
    fork.append(97)
    history.append(98)
    assert (bytes(history.data), bytes(fork.data)) == (b"ababb", b"ababa")
    assert history.occurrences(0, 9) == [2, 4]
    assert fork.occurrences(0, 9) == [1, 3]


def test_a_history_that_is_frozen_counts_no_more_occurrences_and_neither_do_its_forks() -> None:
    history = History(b"abab", [suffix(1)])
    history.freeze()
    fork = history.fork()
    for each in (history, fork):
        each.append(97)
        each.append(98)
        assert bytes(each.data) == b"ababab"
        assert each.occurrences(0, 9) == [2]


def test_a_span_past_the_end_goes_on_with_its_period() -> None:
    history = History(b"xyzabc", [suffix(1)])
    assert history.span(3, 8) == b"abcabcab"
    assert history.span(0, 4) == b"xyza"


@pytest.mark.parametrize("opened", [3, 300])
def test_a_price_is_what_the_compressor_charges_for_a_span_after_the_present(opened: int) -> None:
    """Prices are measured behind an anchor, which must tell what a fresh meter on the same bytes tells."""
    gzip, effort, first = COMPRESSORS.build("gzip"), dataclasses.replace(FAST, spans=1), 16 << FRACTION
    history = History(TEXT[:opened], [suffix(3)])
    prices = Prices(gzip, history)
    for measured in range(1, 26):
        prices.table[:] = first
        for symbol in TEXT[len(history.data) : opened + measured * effort.every]:
            assert (prices.table == first).all(), "not measured yet"
            history.append(symbol)
            found = history.occurrences(0, 9)
            prices.update(gzip.open(b""), history, [found], effort)
        if not found:
            continue
        end = len(history.data)
        behind = history.data[prices._anchored :]
        assert end - prices._anchored >= min(8, end)
        assert end - prices._anchored < 64
        meter = gzip.open(bytes(history.data[: prices._anchored])).flushed()
        assert meter is not None
        span, none = meter.code_lengths([bytes(behind) + history.span(found[-1], 8), bytes(behind)])
        price = int(prices.table[(end - found[-1]).bit_length()])
        assert price == first + ((int((span - none) * (1 << FRACTION)) - first) >> 5)
        assert np.count_nonzero(prices.table != first) == (price != first)
    assert found


def test_the_weights_file_is_small_and_readable() -> None:
    path = ROOT / "compgen/models/derived/calibration.json"
    assert path.stat().st_size < 100_000
    assert sorted(json.loads(path.read_text())) == sorted([*EFFORTS, "line", "rows"])
