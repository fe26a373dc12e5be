"""Mixing of distributions by bytes and by bits: against floats, and what may not change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.models import bit_mixing
from compgen.models.bit_mixing import BitMixer
from compgen.models.mixing import UNBOUNDED, WEIGHT_ONE, Mixer
from compgen.models.quantise import log2_units
from compgen.powers import FRACTION


@given(st.lists(st.integers(1, 1 << 52), min_size=1, max_size=20))
def test_log2_by_table(values: list[int]) -> None:
    units = log2_units(np.array(values, dtype=np.int64))
    assert np.all(np.abs(units / (1 << FRACTION) - np.log2(values)) < 2 / (1 << FRACTION))


def test_the_mixer_is_a_product_of_experts_that_steps_up_the_gradient() -> None:
    generator = np.random.default_rng(1)
    shares = generator.dirichlet(np.ones(256), size=3)
    logs = np.rint(np.log2(shares) * (1 << FRACTION)).astype(np.int64)
    weights = np.array([[0.5, 0.3, 0.4]])
    mixer = Mixer([np.rint(weights * WEIGHT_ONE).astype(np.int64)], rate=1 << 20, common_rate=1 << 20)
    mixed = mixer.mix(logs, [0]) / (1 << 24)
    exact = np.prod(shares ** weights[0][:, None], axis=0)
    exact /= exact.sum()
    assert np.allclose(mixed, exact, rtol=0.01, atol=1e-6)
    before = mixer.families[0].copy()
    mixer.learn(7)
    gradient = np.log2(shares[:, 7]) - (exact * np.log2(shares)).sum(axis=1)
    step = (mixer.families[0] - before)[0] / WEIGHT_ONE
    assert np.allclose(step, gradient * (1 << 20) / (1 << 24) * (1 << FRACTION) / WEIGHT_ONE, atol=1e-3)


def mixed(rate: int, common_rate: int, most: int = UNBOUNDED) -> Mixer:
    """A mixer of three experts and two families, after a mix of set 1 of the first and set 2 of the second."""
    shares = np.random.default_rng(1).dirichlet(np.ones(256), size=3)
    mixer = Mixer([np.full((2, 3), WEIGHT_ONE // 4), np.full((4, 3), WEIGHT_ONE // 4)], rate, common_rate, most)
    mixer.mix(np.rint(np.log2(shares) * (1 << FRACTION)).astype(np.int64), [1, 2])
    return mixer


def test_the_chosen_set_of_each_family_learns_and_no_other() -> None:
    mixer = mixed(1 << 20, 1 << 20)
    mixer.learn(7)
    changed = [(family != WEIGHT_ONE // 4).all(axis=1).tolist() for family in mixer.families]
    assert changed == [[False, True], [False, False, True, False]]


@pytest.mark.parametrize("symbol", [7, 9])
def test_the_step_that_weights_have_in_common_may_be_bounded(symbol: int) -> None:
    free, bounded, loose = (mixed(1 << 20, 1 << 20, most) for most in (UNBOUNDED, 1 << FRACTION - 3, 64 << FRACTION))
    steps = []
    for mixer in (free, bounded, loose):
        mixer.learn(symbol)
        steps.append(mixer.families[0][1] - WEIGHT_ONE // 4)
    assert np.array_equal(steps[0], steps[2])
    assert abs(int(steps[0].sum())) > 3 * (1 << FRACTION - 3 - 4), "the gradient in common is beyond the bound"
    assert abs(abs(int(steps[1].sum())) - 3 * (1 << FRACTION - 3 - 4)) <= 3
    assert np.ptp(steps[0] - steps[1]) <= 1, "what sets experts apart stays"


def test_each_expert_may_choose_a_set_of_its_own() -> None:
    experts = np.rint(np.log2(np.random.default_rng(1).dirichlet(np.ones(256), size=3)) * (1 << FRACTION)).astype(int)
    one, own = (Mixer([np.arange(12).reshape(4, 3) * 7_000], 1 << 20, 1 << 20) for _ in range(2))
    assert np.array_equal(one.mix(experts, [2]), own.mix(experts, [[2, 2, 2]]))
    assert not np.array_equal(one.mix(experts, [2]), own.mix(experts, [[2, 0, 3]]))
    own.learn(7)
    changed = own.families[0] != np.arange(12).reshape(4, 3) * 7_000
    assert np.argwhere(changed).tolist() == [[0, 1], [2, 0], [3, 2]]
    one.freeze()
    one.learn(7)
    assert np.array_equal(one.families[0], np.arange(12).reshape(4, 3) * 7_000)


def test_what_experts_agree_on_has_a_learning_rate_of_its_own() -> None:
    apart, together = mixed(1 << 20, 0), mixed(0, 1 << 20)
    for mixer in (apart, together):
        mixer.learn(7)
    step = apart.families[0][1] - WEIGHT_ONE // 4
    assert abs(int(step.sum())) <= 3 < np.abs(step).min(), "the mean of the weights stays, to within rounding"
    assert len(set(together.families[0][1])) == 1
    assert together.families[0][1, 0] != WEIGHT_ONE // 4


def families(experts: int, seed: int) -> list[NDArray[np.int64]]:
    """Weights near 1 / experts by node, and near 0 in two more families of 3 and 5 sets."""
    generator = np.random.default_rng(seed)
    one = bit_mixing.WEIGHT_ONE
    return [
        generator.integers(one // (2 * experts), 2 * one // experts, (256, experts)),
        generator.integers(-one // 8, one // 8, (3, experts)),
        generator.integers(-one // 8, one // 8, (5, experts)),
    ]


def drawn_shares(experts: int, seed: int, alpha: float = 0.2) -> NDArray[np.int64]:
    shares = np.random.default_rng(seed).dirichlet(np.full(256, alpha), size=experts)
    return np.asarray(shares * (1 << 30), dtype=np.int64)


class Floats:
    """Logistic mixing in floats, as the docstring of ``bit_mixing.py`` has it."""

    def __init__(self, weights: list[NDArray[np.int64]], rate: int) -> None:
        self.weights = [family / bit_mixing.WEIGHT_ONE for family in weights]
        self.rate = rate / bit_mixing.RATE_ONE

    def mix(self, shares: NDArray[np.int64], numbers: list[int]) -> NDArray[np.float64]:
        self.numbers = numbers
        known = np.zeros((len(shares), 512))
        known[:, 256:] = shares + 1
        for node in range(255, 0, -1):
            known[:, node] = known[:, 2 * node] + known[:, 2 * node + 1]
        nodes = np.arange(1, 256)
        self.stretches = np.zeros((len(shares), 256))
        self.stretches[:, 1:] = np.clip(np.log2(known[:, 2 * nodes + 1] / known[:, 2 * nodes]), -20, 20)
        weights = self.weights[0] + sum(family[n] for family, n in zip(self.weights[1:], numbers, strict=True))
        self.chances = 1 / (1 + 2.0 ** -np.clip((weights.T * self.stretches).sum(axis=0), -20, 20))
        found = np.ones(256)
        for symbol in range(256):
            for k in range(8):
                chance = self.chances[(symbol | 256) >> (8 - k)]
                found[symbol] *= chance if symbol >> (7 - k) & 1 else 1 - chance
        return found

    def learn(self, symbol: int) -> None:
        for k in range(8):
            node = (symbol | 256) >> (8 - k)
            step = self.rate * ((symbol >> (7 - k) & 1) - self.chances[node]) * self.stretches[:, node]
            self.weights[0][node] += step
            for family, n in zip(self.weights[1:], self.numbers, strict=True):
                family[n] += step


@pytest.mark.parametrize("experts", [1, 2, 14])
def test_bits_are_mixed_as_floats_mix_them(experts: int) -> None:
    mixer, floats = BitMixer(families(experts, 1), 1 << 9), Floats(families(experts, 1), 1 << 9)
    generator = np.random.default_rng(2)
    for step in range(40):
        shares, numbers = drawn_shares(experts, step), [int(generator.integers(3)), int(generator.integers(5))]
        expected = floats.mix(shares, numbers) * ((1 << 24) - 256) + 1
        assert np.allclose(mixer.mix(shares, numbers), expected, rtol=0.02, atol=2)
        symbol = int(generator.integers(256))
        mixer.learn(symbol)
        floats.learn(symbol)
    for ours, exact, before in zip(mixer.families, floats.weights, families(experts, 1), strict=True):
        assert np.allclose(ours / bit_mixing.WEIGHT_ONE, exact, atol=2e-3)
        assert np.abs(exact - before / bit_mixing.WEIGHT_ONE).max() > 0.05, "it learnt"


@given(st.integers(1, 5), st.integers(0, 2**32), st.sampled_from([0.003, 0.2, 50.0]))
@settings(max_examples=30)
def test_whatever_is_mixed_gives_frequencies(experts: int, seed: int, alpha: float) -> None:
    mixer = BitMixer([9 * family for family in families(experts, seed)], bit_mixing.RATE_ONE)
    for step in range(3):
        found = mixer.mix(drawn_shares(experts, seed + step, alpha), [step, 4])
        assert found.min() >= 1
        assert found.sum() == 1 << 24
        mixer.learn(int(found.argmin()))


@given(st.integers(1, 9), st.integers(0, 2**32), st.integers(0, 2**20))
@settings(max_examples=20)
def test_experts_that_know_nothing_give_equal_shares_whatever_their_weights(
    experts: int, seed: int, share: int
) -> None:
    mixer = BitMixer(families(experts, seed), 1 << 9)
    for symbol in range(0, 256, 50):
        assert (mixer.mix(np.full((experts, 256), share), [0, 0]) == 1 << 16).all()
        mixer.learn(symbol)
    assert all(map(np.array_equal, mixer.families, families(experts, seed))), "there is nothing to learn"


@given(st.integers(1, 6), st.integers(0, 2**32), st.integers(0, 255))
@settings(max_examples=20)
def test_a_byte_that_repeats_becomes_cheaper(experts: int, seed: int, symbol: int) -> None:
    mixer, shares = BitMixer(families(experts, seed), 1 << 6), drawn_shares(experts, seed, 2.0)
    found = []
    for _ in range(5):
        found.append(int(mixer.mix(shares, [1, 2])[symbol]))
        mixer.learn(symbol)
    assert found[-1] > found[0]
    for family, before, chosen in zip(mixer.families[1:], families(experts, seed)[1:], (1, 2), strict=True):
        others = np.arange(len(family)) != chosen
        assert np.array_equal(family[others], before[others]), "other sets stay"


def test_a_fork_of_a_mixer_of_bits_is_its_own_and_one_that_is_frozen_stays() -> None:
    mixer, shares = BitMixer(families(3, 4), 1 << 9), drawn_shares(3, 5)
    before = mixer.mix(shares, [0, 1])
    fork = mixer.fork()
    fork.mix(shares, [0, 1])
    fork.learn(7)
    assert np.array_equal(mixer.mix(shares, [0, 1]), before)
    assert not np.array_equal(fork.mix(shares, [0, 1]), before)
    mixer.freeze()
    mixer.learn(7)
    assert np.array_equal(mixer.mix(shares, [0, 1]), before)


@pytest.mark.parametrize("alpha", [0.003, 0.2, 50.0])
def test_bits_are_mixed_alike_by_numpy_and_by_compiled_loops(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    found: list[Any] = []
    for cost in (0.0, math.inf):
        monkeypatch.setattr(SMALL, "cost", cost)
        mixer = BitMixer([5 * family for family in families(4, 6)], 1 << 12)
        for step in range(20):
            found.append(mixer.mix(drawn_shares(4, step, alpha), [step % 3, step % 5]))
            mixer.learn(11 * step)
        found.append(np.concatenate(mixer.families))
    assert all(map(np.array_equal, found[:21], found[21:]))
