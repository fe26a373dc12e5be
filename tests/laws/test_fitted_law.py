"""Laws fitted from code lengths: prices are whole numbers, a compressor that knows nothing is uniform, block sorting is
refused."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from compgen.compressors import COMPRESSORS
from compgen.errors import CompgenError
from compgen.laws import fitted, probes
from compgen.laws.base import NoLaw
from compgen.laws.fitted import FittedLaw
from compgen.laws.forward import LOOPS
from compgen.laws.lz77 import Lz77Law
from compgen.powers import exp2, exp2_table, log2
from compgen.types import CodeLengths
from tests.conftest import ROOT

PROSE = (ROOT / "examples/prompts/lighthouse.txt").read_bytes()
MADE = probes.made_text(9000)
RECORDS = b"".join(b"%05d,\x00\xff%06d\r\n" % (i, i * i) for i in range(400))


def of_nothing(context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
    """A compressor that knows nothing: L(x) = 8 |x|."""
    return np.array([8.0 * len(context + continuation) for continuation in continuations])


def law_of(spec: str) -> FittedLaw:
    compressor = COMPRESSORS.build(spec)
    return FittedLaw(compressor.code_lengths, compressor.static_dictionary())


def bits(law: Lz77Law, context: bytes, span: bytes) -> float:
    _, width = law.start(context).consume(np.frombuffer(span, dtype=np.uint8))
    return float((24 - np.log2(width)).sum())


@pytest.mark.parametrize(
    "context", [b"", b"a", b"aaaa" * 300, PROSE, MADE, RECORDS, bytes(3000), bytes(range(256)) * 9]
)
def test_a_compressor_that_knows_nothing_has_a_uniform_law(context: bytes) -> None:
    """Whatever the window holds: what no code length says is not known."""
    assert (FittedLaw(of_nothing).checked().start(context).frequencies() == 1 << 16).all()


@pytest.mark.parametrize("spec", ["gzip", "zstd", "zstd-dict", "xz", "brotli"])
def test_what_copies_has_a_law_that_costs_no_more_than_the_compressor(spec: str) -> None:
    compressor, law = COMPRESSORS.build(spec), law_of(spec).checked()
    assert fitted.misfit(law_of(spec)) < 1
    text = PROSE[: len(PROSE) // 2 * 2]
    known, span = MADE[:6000], MADE[6000:7000]
    own = compressor.code_lengths(known, [b"", span])
    assert bits(law, known, span) < 1.02 * (own[1] - own[0])
    assert bits(law, text[: len(text) // 2], text[len(text) // 2 :]) < 8 * len(text) / 2


@pytest.mark.parametrize("spec", ["bz2", "ppmd"])
def test_what_does_not_copy_has_none(spec: str) -> None:
    with pytest.raises(NoLaw, match=r"--rule calibrated") as caught:
        law_of(spec).checked()
    assert isinstance(caught.value, CompgenError)
    assert "\n" not in str(caught.value)


def test_external_programs_are_told_apart() -> None:
    assert fitted.misfit(law_of("command:gzip -9 -n")) < 1
    with pytest.raises(NoLaw):
        law_of("command:bzip2 -9").checked()


def test_no_fit_takes_more_encodings_than_stated() -> None:
    """Counted at the largest window, and over the growth of a context."""
    asked: list[int] = []
    gzip = COMPRESSORS.build("gzip")

    def lengths(context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        asked.append(len(continuations))
        return gzip.code_lengths(context, continuations)

    law = FittedLaw(lengths)
    for size in (256, 1024, 8192, 40_000):
        asked.clear()
        fitted.prices(law, (MADE + bytes(range(256))) * 5 if size == 40_000 else MADE[:size])
        assert len(asked) == 1
        assert asked[0] <= fitted.MOST_PROBES
        fitted.prices(law, (MADE + bytes(range(256))) * 5 if size == 40_000 else MADE[:size])
        assert len(asked) == 1, "kept by context"


def test_fits_are_renewed_at_fixed_positions() -> None:
    places = sorted({fitted.RENEWALS.last(size) for size in range(30_000)})
    assert places == [0, 256, 512, 1024, 2048, 4096, 8192, 16_384, 24_576]


@pytest.mark.parametrize("form", ["numpy", "compiled"])
@pytest.mark.parametrize("spec", ["gzip", "brotli"])
def test_a_fresh_start_is_what_going_on_comes_to(form: str, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(LOOPS, "cost", 0.0 if form == "compiled" else math.inf)
    law, data = law_of(spec).checked(), MADE[:540]
    grown, read = law.start(data[:200]), law.start(data[:250])
    for symbol in data[200:]:
        grown.append(symbol)
    read.consume(np.frombuffer(data[250:], dtype=np.uint8))
    fresh = law.start(data).frequencies()
    assert grown.context == data
    assert np.array_equal(grown.frequencies(), fresh)
    assert np.array_equal(read.frequencies(), fresh)
    assert fresh.sum() == 1 << 24
    assert fresh.min() >= 1


def test_prices_are_whole_numbers_that_sum_to_one() -> None:
    found = fitted.prices(law_of("xz"), MADE[:8192])
    assert all(one.dtype == np.int64 for one in (found.literals, found.lengths, found.distances))
    assert found.lengths[:2].sum() == 0
    whole = found.literals.sum() + found.lengths.sum() + found.repeats.lengths.sum()
    assert whole == pytest.approx(1 << 20, rel=1e-3)
    assert found.distances.sum() == pytest.approx(1 << 28, rel=1e-3)
    assert found.distances.sum() <= 1 << 28


@pytest.mark.parametrize(("spec", "has_them"), [("gzip", False), ("zstd", True), ("xz", True), ("brotli", True)])
def test_cheap_repeats_of_a_distance_are_found_where_the_format_has_them(spec: str, has_them: bool) -> None:
    repeats = fitted.prices(law_of(spec), (RECORDS + MADE)[: len(RECORDS) + 3000]).repeats
    assert (repeats.lengths.sum() > 0) == has_them
    assert 0 < len(repeats.distances) <= 32 if has_them else len(repeats.distances) == 0


def test_prices_are_those_of_other_machines() -> None:
    """A digest of prices from code lengths that are arithmetic alone: 9 bits a literal, 20 for what was seen before."""

    def lengths(context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        return np.array([_greedy_cost(context, continuation) for continuation in continuations], dtype=np.float64)

    found = fitted.prices(FittedLaw(lengths), MADE[:2048])
    assert found.lengths.sum() > 0
    digest = hashlib.sha256(b"".join(one.tobytes() for one in (found.literals, found.lengths, found.distances)))
    assert digest.hexdigest()[:16] == "2d646619591118f9"


def _greedy_cost(context: bytes, continuation: bytes) -> int:
    text, here, cost = context + continuation, len(context), 8 * len(context)
    while here < len(text):
        length = 3
        while here + length <= len(text) and text.find(text[here : here + length], 0, here) >= 0:
            length += 1
        cost += 20 if length > 3 else 9
        here += length - 1 if length > 3 else 1
    return cost


def test_least_squares_are_exact() -> None:
    rows = [[1, 0], [1, 1], [1, 2], [1, 3]]
    assert fitted.least_squares(rows, [5000, 7000, 9000, 11000])[1] == pytest.approx(2000, rel=1e-3)
    (middle,) = fitted.least_squares([[1], [1], [1]], [1, 2, 6])
    assert middle == Fraction(9) / (3 + Fraction(1, 1000))
    assert fitted.least_squares([[0, 0]], [7]) == [0, 0], "what no probe holds is left at its mean"


def test_powers_and_logarithms() -> None:
    assert [exp2(units) for units in (0, 4096, 2048)] == [1 << 32, 1 << 31, int(exp2_table()[2048])]
    assert [log2(number) for number in (1, 2, 3, 1024)] == [0, 4096, 6492, 40960]
    assert all(abs(log2(number) - 4096 * math.log2(number)) <= 1 for number in range(1, 300))


def test_pieces_are_copies_that_do_not_go_on_from_one_another() -> None:
    generator, window = probes.Generator(1), MADE[:4096]
    made = probes.copies(window, 8, 9, generator)
    assert made is not None
    pieces = [made[i : i + 8] for i in range(0, len(made), 8)]
    assert len(pieces) == probes.PIECES
    assert all(piece in window for piece in pieces)
    assert not any(a + b[:1] == window[window.rfind(a) :][:9] for a, b in itertools.pairwise(pieces))
    assert probes.copies(window[:300], 8, 9, generator) is None


def test_literals_are_strange() -> None:
    generator, window = probes.Generator(1), MADE[:4096]
    for members in probes.literal_classes(window):
        made = probes.strange(window, members, probes.STRANGE, generator)
        assert sum(byte in members for byte in made[1::2]) == len(made) // 2
        assert sum(made[i : i + 3] in window for i in range(len(made) - 2)) <= len(made) // 4
    assert sorted(itertools.chain(*probes.literal_classes(window))) == list(range(256))


def test_the_generator_is_the_same_everywhere() -> None:
    generator = probes.Generator(1)
    assert [generator.below(1000) for _ in range(4)] == [423, 509, 648, 382]
