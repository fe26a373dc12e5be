"""The calibrated rule over a compressor with a law: the parts of the law, mixed, with trust that is learnt."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.laws import copies, ppmd_model
from compgen.laws.base import SHARE_BITS
from compgen.laws.copies import Copies
from compgen.laws.parts import NUMBERS, ORDERS, blended, contexts_apart
from compgen.laws.ppmd_model import Model
from compgen.laws.ppmd_update import MIN
from compgen.media.layout import Layout
from compgen.models import ByteModel, load
from compgen.models.derived.calibrated import WARM_UP, CalibratedRow, initial_weights
from compgen.models.window import Window
from compgen.testing import check_model
from tests.conftest import ROOT

TEXT = b"the cat sat on the mat; the rat sat on the cat; the bat sat on the rat; " * 12
NEEDS = {"ppmd": "pyppmd", "flac": "soundfile", "brotli": "brotli", "zstd": "zstandard"}
FORMS = [pytest.param(float("inf"), id="plain"), pytest.param(0.0, id="compiled")]


def calibrated(spec: str, layout: Layout | None = None) -> ByteModel:
    """Return the model; skip the test where its library is missing."""
    for name, module in NEEDS.items():
        if spec.startswith(name):
            pytest.importorskip(module)
    return load(spec, rule="calibrated", layout=layout)


@pytest.mark.parametrize(
    "spec",
    [
        "gzip",
        "zlib:window=40",
        "zstd",
        "zstd-dict:window=300",
        "xz",
        "brotli",
        "ppmd:memory=1",
        "png:width=5,window=40",
        "flac:channels=2,window=301",
        "null",
        "command:gzip -c",
        'model:"backoff:order=1"',
        "gzip+ppmd:memory=1",
    ],
)
def test_conforms(spec: str) -> None:
    check_model(calibrated(spec))


def row_of(spec: str, window: int, prompt: bytes, weights: Any = None) -> CalibratedRow:
    compressor = COMPRESSORS.build(spec)
    return CalibratedRow(compressor, compressor.law(), Window(window), prompt, weights)


@pytest.mark.parametrize("spec", ["gzip", "ppmd:memory=1", "png:width=8"])
def test_a_start_is_a_fresh_start_extended_by_the_warm_up(spec: str, prose: bytes) -> None:
    model = calibrated(spec)
    prompt = prose[: WARM_UP + 300]
    row = row_of(spec, 32768, prompt[:300])
    for symbol in prompt[300:]:
        row.extend(symbol)
    assert np.array_equal(model.start([prompt]).frequencies()[0], row.frequencies())


def test_nothing_is_learnt_from_what_is_before_the_warm_up(prose: bytes) -> None:
    row = row_of("gzip", 32768, prose[:1000])
    assert all(map(np.array_equal, row.mixer.families, initial_weights("copies")))
    row.extend(prose[1000])
    assert not all(map(np.array_equal, row.mixer.families, initial_weights("copies")))


@pytest.mark.parametrize("spec", ["gzip", "ppmd:memory=1", "xz"])
def test_a_window_that_is_full_starts_again_at_its_last_half_and_keeps_what_it_learnt(spec: str) -> None:
    calibrated(spec)
    row = row_of(spec, 50, TEXT[:60])
    for symbol in TEXT[60:100]:
        row.extend(symbol)
    learnt = [family.copy() for family in row.mixer.families]
    fresh = row_of(spec, 50, TEXT[50:100], learnt)
    for symbol in TEXT[100:130]:
        assert np.array_equal(row.frequencies(), fresh.frequencies())
        row.extend(symbol)
        fresh.extend(symbol)
    assert not all(map(np.array_equal, learnt, initial_weights(row._law.family)))


def test_a_row_that_is_frozen_keeps_its_weights_and_so_do_its_forks() -> None:
    row = row_of("gzip", 50, TEXT[:60])
    row.extend(TEXT[60])
    learnt = [family.copy() for family in row.mixer.families]
    row.freeze()
    fork = row.fork()
    for each in (row, fork):
        for symbol in TEXT[61:200]:  # the window reopens on the way
            each.extend(symbol)
        assert all(map(np.array_equal, each.mixer.families, learnt))
    assert not all(map(np.array_equal, learnt, initial_weights("copies")))


@pytest.mark.parametrize("spec", ["gzip", "ppmd:memory=1", "png:width=8", "flac"])
def test_what_a_fork_learns_is_its_own(spec: str) -> None:
    state, twin = (calibrated(spec).start([TEXT[:300]]) for _ in range(2))
    state.frequencies()
    fork = state.fork([0])
    for symbol in b"zzzz":
        fork.extend(np.array([symbol], dtype=np.uint8))
    for symbol in TEXT[300:310]:
        for each in (state, twin):
            each.extend(np.array([symbol], dtype=np.uint8))
    assert np.array_equal(state.frequencies(), twin.frequencies())
    assert not np.array_equal(state.frequencies(), fork.frequencies())


def test_known_bytes_read_at_once_are_those_read_one_by_one(prose: bytes) -> None:
    for spec in ("gzip:window=90", "ppmd:memory=1,window=90", "null:window=90"):
        model = calibrated(spec)
        data = np.frombuffer(prose[:200], dtype=np.uint8).reshape(100, 2)
        state, slow = model.start([prose[500:560], b""]), model.start([prose[500:560], b""])
        low, width = state.consume(data)
        for step, symbols in enumerate(data):
            expected = slow.intervals(symbols)
            assert np.array_equal(low[step], expected[0])
            assert np.array_equal(width[step], expected[1])
            slow.extend(symbols)
        assert np.array_equal(state.frequencies(), slow.frequencies())


def test_null_knows_nothing(prose: bytes) -> None:
    result = compgen.score("null", prose[600:900], prose[:600], rule="calibrated")
    assert result.derived_bpb == 8.0


@pytest.mark.parametrize("spec", ["gzip", "xz", "zstd", "brotli", "ppmd"])
def test_text_costs_less_than_by_the_law_and_than_the_compressor_spends(spec: str, prose: bytes) -> None:
    model = calibrated(spec)
    context, segment = prose[:4500], prose[4500:4900]
    result = compgen.score(model, segment, context)
    law = compgen.score(spec, segment, context, rule="decoder").derived_bpb
    assert result.own_bpb is not None
    assert result.derived_bpb < law
    assert result.derived_bpb < (0.9 if spec != "ppmd" else 1.0) * result.own_bpb


def test_a_law_without_parts_is_trusted_and_then_more_or_less(prose: bytes) -> None:
    model = load('model:"backoff:order=2"', rule="calibrated")
    first, law = model.start([b""]), load("backoff:order=2").start([b""])
    assert np.allclose(first.frequencies(), law.frequencies(), rtol=0.01, atol=2)
    rate, alone = (compgen.score(one, prose[2000:2500], prose[:2000]).derived_bpb for one in (model, "backoff:order=2"))
    assert abs(rate - alone) < 0.2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("effort=best", "effort is for compressors without a law"),
        ("stride=384", "gzip[+]signal"),
        ("stride=30,pixel=3", "gzip[+]signal"),
        ("pixel=2,depth=16", "gzip[+]signal"),
        ("rule=decoder,stride=8", "gzip[+]history"),
    ],
)
def test_options_that_a_law_has_no_use_for_are_refused_and_the_message_says_what_to_type(
    options: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load(f"gzip:{options}")
    assert "\n" not in str(caught.value)
    load("gzip+history:stride=384")
    load("gzip+signal:stride=30,pixel=3")


def waves(rows: int, width: int) -> bytes:
    noise = np.random.default_rng(8)
    y, x = np.mgrid[:rows, :width]
    gray = 128 + 60 * np.sin(x / 9 + y / 7) + 40 * np.sin(y / 11) + noise.normal(0, 2, (rows, width))
    return bytes(np.clip(gray, 0, 255).astype(np.uint8).tobytes())


def test_pictures_and_sound_are_calibrated_by_the_laws_of_their_codecs() -> None:
    picture = waves(60, 40)
    time = np.arange(2400)
    tone = np.rint(128 + 100 * np.sin(time / 7) + np.random.default_rng(3).normal(0, 2, 2400)).astype(np.uint8)
    for spec, data, layout in (("png", picture, Layout(40, 1)), ("flac", tone.tobytes(), Layout(0, 1, 8))):
        model = calibrated(spec, layout)
        rate, law, gzip = (
            compgen.score(one, data[2000:2300], data[:2000]).derived_bpb
            for one in (model, load(spec, rule="decoder", layout=layout), load("gzip", rule="calibrated"))
        )
        assert rate < law + 0.02
        assert rate < gzip - 0.5, "they know what samples are"


# What the parts are


def expected_parts(
    context: bytes, roots: NDArray[np.int64], literals: NDArray[np.int64], whole: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[int], list[int]]:
    """Count by direct comparison, and blend in floats, as the docstrings of ``copies.py`` and ``parts.py`` have it."""
    end, reach = len(context), len(roots) - 1
    rows = [literals / literals.sum()]
    occurrences, followers = [], []
    for order in ORDERS:
        weights, times = np.zeros(256), 0
        for place in range(max(order, end - reach), end):
            if order <= place and context[place - order : place] == context[end - order :]:
                weights[context[place]] += roots[end - place]
                times += 1
        distinct = int(np.count_nonzero(weights))
        occurrences.append(times)
        followers.append(distinct)
        total = weights.sum()
        escape = total * (distinct + 1) * 3 // (4 * times + 1) + 1
        rows.append((weights + escape * rows[-1]) / (total + escape) if total else rows[-1])
    rows.append(whole / whole.sum())
    return np.array(rows), occurrences, followers


def parts_of(found: Copies, context: bytes, literals: NDArray[np.int64], whole: NDArray[np.int64]) -> Any:
    def agreeing(reach: int) -> NDArray[np.int64]:
        end = len(context)
        last = [p for p in range(max(end - reach, 1), end) if context[p - 1] == context[end - 1]] if end else []
        return np.array(last, dtype=np.int64)

    return found.parts(literals, (np.zeros(256, dtype=np.int64), 5), whole, agreeing)


FEW = st.binary(max_size=90).map(lambda data: bytes(b & 3 for b in data))


@pytest.mark.parametrize("cost", FORMS)
@given(data=FEW, known=st.integers(0, 90), reach=st.integers(1, 100), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_copies_are_what_a_search_finds(cost: float, data: bytes, known: int, reach: int, seed: int) -> None:
    if not cost:
        pytest.importorskip("numba")
    generator = np.random.default_rng(seed)
    prices = np.sort(generator.integers(1, 1 << 28, 4))[::-1].repeat(30)[: reach + 1]
    prices[0] = 0  # no distance is none
    roots = copies.roots(prices)
    assert np.allclose(roots, (prices / 2**28) ** 0.25 * 2**15, atol=1)
    literals, whole = generator.integers(1, 1 << 20, 256), np.full(256, 1 << 16)
    grown = Copies(data[:known], roots, 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies.LOOPS, "cost", cost)
        parts_of(grown, data[:known], literals, whole)  # so that what it keeps for a form grows too
        for symbol in data[known:]:
            grown.append(symbol)
        shares, numbers = parts_of(grown, data, literals, whole)
        again = parts_of(grown.fork(), data, literals, whole)
    expected, occurrences, followers = expected_parts(data, roots, literals, whole)
    rows = [*range(len(ORDERS) + 1), len(ORDERS) + 2]
    assert np.allclose(shares[rows] / (1 << SHARE_BITS), expected, atol=1e-6)
    assert numbers == contexts_apart(occurrences, followers)
    assert np.array_equal(shares, again[0])
    assert (shares.sum(axis=1) <= 1 << SHARE_BITS).all()


def test_the_last_distance_is_blended_with_the_law_as_a_whole() -> None:
    data, masses = b"abcabc", np.zeros(256, dtype=np.int64)
    masses[100] = 3 << 40
    whole = np.full(256, 1 << 16)
    found = Copies(data, copies.roots(np.array([0, *[1 << 20] * 8])), 4)
    shares, _ = found.parts(np.ones(256, dtype=np.int64), (masses, 1 << 40), whole, lambda reach: np.array([3]))
    assert np.allclose(shares[-2] / (1 << SHARE_BITS), np.where(masses > 0, 0.75, 0) + 0.25 / 256, atol=1e-6)


@given(st.lists(st.integers(0, 300), min_size=11, max_size=11), st.integers(0, 11), st.data())
def test_contexts_are_told_apart_by_numbers_in_range(times: list[int], seen: int, data: st.DataObject) -> None:
    occurrences = [n + 1 if k < seen else 0 for k, n in enumerate(times)]
    followers = [data.draw(st.integers(1, min(n, 256))) if n else 0 for n in occurrences]
    numbers = contexts_apart(occurrences, followers)
    assert len(numbers) == len(NUMBERS)
    assert all(0 <= n < most for n, most in zip(numbers, NUMBERS, strict=True))
    assert numbers[0] == max(seen - 1, 0)


def ppmd_contexts(model: Model) -> dict[int, tuple[dict[int, int], int]]:
    """Walk down the suffixes of the model's present context: by length, the frequencies, and the total."""
    found, nodes = {}, []
    arrays = model._arrays
    node = int(arrays.registers[MIN])
    while node:
        nodes.append(node)
        node = int(arrays.suffix[node])
    for length, node in enumerate(reversed(nodes)):
        first, count = int(arrays.first[node]), int(arrays.count[node])
        known = {int(arrays.symbols[s]): int(arrays.freqs[s]) for s in range(first, first + count)}
        found[length] = known, int(arrays.total[node]) if count > 1 else 0
    return found


@pytest.mark.parametrize("cost", FORMS)
def test_the_orders_of_ppmd_are_the_contexts_of_its_model(cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    if not cost:
        pytest.importorskip("numba")
    monkeypatch.setattr(ppmd_model.LOOPS, "cost", cost)
    model = Model(6)
    for end, symbol in enumerate(b"abracadabra, abracadabra; abrabra", start=1):
        model.append(np.array([symbol], dtype=np.uint8))
        weights, escapes, times, known = model.contexts()
        contexts = ppmd_contexts(model)
        assert max(contexts) <= 6
        for k, order in enumerate(ORDERS):
            followed, total = contexts.get(order, ({}, 0))
            assert known[k] == len(followed)
            assert set(np.flatnonzero(weights[k])) == set(followed)
            if len(followed) == 1:
                assert weights[k].sum() + escapes[k] == 1 << 14
            elif followed:
                assert weights[k][list(followed)].tolist() == list(followed.values())
                assert escapes[k] == max(total - sum(followed.values()), 1)
            if followed:
                assert times[k] == sum(followed.values())
        assert end > 4 or not known[5:].any()


@pytest.mark.parametrize(
    "spec", ["gzip", "xz", "zstd", "brotli", "ppmd", "png:width=9", "flac", "null", "model:uniform"]
)
def test_parts_are_shares_and_the_last_is_the_law(spec: str, prose: bytes) -> None:
    calibrated(spec)
    law = COMPRESSORS.build(spec).law()
    state = law.start(prose[:700])
    for symbol in prose[700:720]:
        shares, numbers = state.parts()
        assert shares.shape[1] == 256
        assert shares.min() >= 0
        assert (shares.sum(axis=1) <= 1 << SHARE_BITS).all()
        assert (shares.sum(axis=1) > (1 << SHARE_BITS) - (1 << 20)).all()
        assert np.array_equal(shares[-1], state.frequencies() << (SHARE_BITS - 24))
        assert len(numbers) == len(law.numbers)
        assert all(0 <= n < most for n, most in zip(numbers, law.numbers, strict=True))
        again, same = state.parts()
        assert np.array_equal(shares, again)
        assert list(numbers) == list(same)
        families = initial_weights(law.family)
        assert [family.shape for family in families] == [(n, len(shares)) for n in (256, *law.numbers)]
        state.append(symbol)


def test_a_context_without_weights_passes_on_the_shorter_one() -> None:
    lowest = np.full(256, 1 << (SHARE_BITS - 8))
    weights = np.zeros((3, 256), dtype=np.int64)
    weights[0, 65] = 9
    shares = blended(weights, np.array([3, 0, 0]), lowest)
    assert shares[1, 65] == ((9 << SHARE_BITS) + 3 * int(lowest[65])) // 12
    assert np.array_equal(shares[2], shares[1])
    assert np.array_equal(shares[3], shares[1])


def test_the_weights_file_is_small_and_readable() -> None:
    path = ROOT / "compgen/models/derived/law_weights.json"
    assert path.stat().st_size < 200_000
    assert "copies" in json.loads(path.read_text())


def test_a_sample_of_text_reads_on(prose: bytes) -> None:
    """Where a byte was never seen, parts agree on little, and the mixer must not be sure of noise."""
    drawn = compgen.sample("xz:rule=calibrated,window=2048", prose + b"\x1a", length=60, seed=1)
    assert drawn[0].bits_per_byte is not None
    assert drawn[0].bits_per_byte < 4.5
