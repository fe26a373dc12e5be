"""Mixtures of models: never much worse than their best member."""

from __future__ import annotations

import pytest

import compgen
from compgen.models import ByteModel, load


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
