"""Mixtures of models: never much worse than their best member."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

import compgen
from compgen.models import ByteModel, load
from compgen.models.base import of_symbols
from compgen.models.tracking import Tracker


def test_a_mixture_beats_members_that_differ_and_keeps_up_with_those_that_do_not(prose: bytes) -> None:
    context, data = prose[:4000], prose[4000:4400]
    mixture = load("gzip+backoff:order=3+zstd:level=9").resolved("calibrated")
    assert str(mixture) == "gzip:rule=calibrated+backoff:order=3+zstd:level=9,rule=calibrated"
    assert load(str(mixture)) == load(f'mixture:"{mixture}"') == mixture
    assert compgen.score(mixture, data, context).derived_bpb < best_member(mixture, data, context) + 0.01
    unlike = load("gzip:rule=calibrated+backoff:order=4")
    assert compgen.score(unlike, data, context).derived_bpb < best_member(unlike, data, context)


def best_member(mixture: ByteModel, data: bytes, context: bytes) -> float:
    return min(compgen.score(spec, data, context).derived_bpb for spec in str(mixture).split("+"))


def test_mixtures_take_efforts_commands_and_refuse_nonsense() -> None:
    assert str(load("bz2+bz2:level=1", effort="best")) == "bz2:effort=best+bz2:level=1,effort=best"
    assert str(load("gzip+command:cat +x")) == "gzip+command:cat +x"
    for wrong in ("gzip+", "+gzip", "gzip++xz", "gzip+nonsense", 'mixture:"gzip"'):
        with pytest.raises(ValueError, match=r"spec|unknown|members"):
            load(wrong)


def noise(size: int) -> bytes:
    return random.Random(5).randbytes(size)


RECORDS = b"".join(b"%04d;\x00\xff%05d\n" % (i, i * i) for i in range(100))


@pytest.mark.parametrize("spec", ["uniform+backoff:order=3", "backoff:order=0+backoff:order=2+backoff:order=4+uniform"])
def test_no_text_costs_more_than_the_best_members_and_a_few_bits(spec: str, prose: bytes) -> None:
    """The mixer by itself, which begins with even weights, cost 0.02 bits per byte more than a good member."""
    for data in (prose[:300], prose[:2000], RECORDS, noise(400), bytes(700), noise(300) + prose[:300]):
        bits = compgen.score(spec, data).surprisals.sum()
        best = min(compgen.score(member, data).surprisals.sum() for member in spec.split("+"))
        assert bits - best < 4 + 0.002 * len(data)


def test_reading_many_bytes_at_once_gives_what_steps_give(prose: bytes) -> None:
    model = load("gzip+backoff:order=2")
    symbols = np.frombuffer(prose[:240], dtype=np.uint8).reshape(2, 120).T
    stepping, reading = model.start([b"", b"the "]), model.start([b"", b"the "])
    steps = []
    for column in symbols:
        steps.append(stepping.frequencies())
        stepping.extend(column)
    reading.frequencies()
    assert (reading.read(symbols[:70]) == np.stack(steps[:70])).all()
    assert (reading.measure(symbols[70:]) == of_symbols(np.stack(steps[70:]), symbols[70:])).all()
    assert (reading.frequencies() == stepping.frequencies()).all()


def costs(experts: Sequence[Sequence[float]], symbols: Sequence[int]) -> float:
    """The bits that a tracker spends on symbols, of experts who give 0 a fixed chance and share the rest evenly."""
    tracker, total = Tracker(len(experts)), 0.0
    for step, symbol in enumerate(symbols):
        table = np.array([[p[step] * 2**24, *[(1 - p[step]) * 2**24 / 255] * 255] for p in experts]).astype(np.int64)
        total += 24 - np.log2(tracker.mix(table)[symbol])
        tracker.learn(symbol)
    return float(total)


def test_a_tracker_follows_the_best_expert_and_one_that_becomes_the_best() -> None:
    right, wrong, count = 0.9, 0.01, 2000
    always = costs([[right] * count, [wrong] * count], [0] * count)
    assert always < -np.log2(right) * count + 1 + 0.001 * count
    half = count // 2
    changing = costs([[right] * half + [wrong] * half, [wrong] * half + [right] * half], [0] * count)
    assert changing < -np.log2(right) * count + 1 + 0.001 * count + 14, "to come back costs some 13 bits"


def test_a_frozen_tracker_learns_nothing_and_a_fork_is_apart() -> None:
    table = np.array([[1 << 23, *[(1 << 23) // 255] * 255], [1 << 16] * 256], dtype=np.int64)
    tracker = Tracker(2)
    even = tracker.mix(table)
    fork = tracker.fork()
    tracker.learn(0)
    assert tracker.mix(table)[0] > even[0]
    assert np.array_equal(fork.mix(table), even)
    fork.freeze()
    fork.learn(0)
    assert np.array_equal(fork.fork().mix(table), even)
    assert even.sum() == 1 << 24
    assert even.min() >= 1
