"""A fork shares no mutable object with its origin, but for those named here, and nothing changes these in place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from compgen.laws.copies import Copies
from compgen.laws.lz77 import Pass
from compgen.laws.ppmd_model import Model as PpmdModel
from compgen.laws.ppmd_model import Pools
from compgen.models import load
from compgen.models.backoff import _History as BackoffHistory
from compgen.models.bit_mixing import BitMixer
from compgen.models.derived.history import History
from compgen.models.derived.prices import Prices
from compgen.models.derived.proposals import ProposalsRow
from compgen.models.mixing import Mixer
from compgen.models.samples.prediction import Signal

SHARED = {
    "Blend._shorter",
    "Copies._changes",
    "Copies._roots",
    "Copies._steps",
    "ContextRow._contexts",
    "ContextRow._first",
    "ContextRow._most",
    "FlacState._frequencies",
    "Mixture.ranges",
    "Pass._alike",
    "StatePass._alike",
    "History._shared",
    "Literals._shares",
    "Initial.escapes",
    "Initial.weights",
    "Lz77State._frequencies",
    "Occurrences._contexts",
    "Occurrences._keys",
    "Occurrences._most",
    "Occurrences._places",
    "Occurrences._present",
    "Occurrences._worth",
    "Pass._found",  # of the NumPy pass, which replaces it
    "Pools.kinds",
    "Pools.reserve",
    "Pools.see_rows",
    "Pools.units",
    "PpmdState._frequencies",
    "ProposalsRow._weights",
    "Signal._around",
    "Signal._coefficients[]",
    "Signal._inverses",
    "Signal._medians",
    "Signal._neighbours_of",
    "Signal._next",
    "Signal._offsets",
    "Signal._ranges",
    "OneStepState._contexts[]",
    "_History.base",
}
"""What forks may share. A name without brackets stands for all that the attribute holds."""
SPECS = (
    "gzip:rule=calibrated",
    "gzip:window=50,rule=calibrated",
    "history",
    "history:stride=24,window=150",
    "signal:stride=24,pixel=3",
    "signal:pixel=4,depth=16",
    "gzip:rule=decoder+history",
    "bz2",
    "bz2:window=50",
    "bz2:stride=24",
    "bz2:stride=24,pixel=3",
    "bz2:pixel=4,depth=16",
    "bz2:effort=best",
    "ppmd:rule=calibrated,memory=1",
    "xz:rule=calibrated",
    "brotli:rule=calibrated",
    "zstd-dict:rule=calibrated",
    "png:width=8",
    "png:width=8,rule=calibrated",
    "flac",
    "flac:rule=calibrated",
    "null:rule=calibrated",
    "gzip:rule=one-step",
    "gzip:rule=decoder",
    "zlib:rule=decoder,window=50",
    "ppmd:rule=decoder,memory=1",
    "xz:rule=decoder",
    "null:rule=decoder",
    'model:"backoff:order=1"',
    "gzip:rule=calibrated+backoff",
    "gzip:rule=decoder+backoff",
    "uniform",
)
IMMUTABLE = (int, float, complex, str, bytes, frozenset, type(None), type)


def is_frozen(value: Any) -> bool:
    """Whether ``value`` is a frozen dataclass: a compressor, a rule, a window."""
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


def parts(value: Any) -> dict[str, Any]:
    """What ``value`` holds, by names."""
    if isinstance(value, dict):
        return {f"[{key!r}]": part for key, part in value.items()}
    if hasattr(value, "_asdict"):
        return {f".{name}": part for name, part in value._asdict().items()}
    if isinstance(value, list | tuple):
        return {f"[{place}]": part for place, part in enumerate(value)}
    return {f".{name}": part for name, part in getattr(value, "__dict__", {}).items()}


def shared(one: Any, other: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give the name of each mutable object that is a part of both, and the object."""
    if isinstance(one, IMMUTABLE) or type(one) is not type(other) or is_frozen(one):
        return
    if np.shares_memory(one, other) if isinstance(one, np.ndarray) else one is other and not isinstance(one, tuple):
        yield name, one
        return
    others = parts(other)
    for key, part in parts(one).items():
        inner = f"{type(one).__name__}{key}" if key.startswith(".") else name if isinstance(one, tuple) else f"{name}[]"
        if key in others:
            yield from shared(part, others[key], inner)


def shared_by_a_fork(spec: str) -> tuple[Any, Any, list[tuple[str, Any]]]:
    state = load(spec).start([b"the cat sat on the mat; the rat sat on the cat; " * 6])
    for symbol in b"the bat":
        state.frequencies()
        state.extend(np.array([symbol], dtype=np.uint8))
    state.frequencies()
    fork = state.fork([0])
    return state, fork, list(shared(state, fork, "state"))


@pytest.mark.parametrize("spec", SPECS)
def test_a_fork_shares_what_never_changes(spec: str) -> None:
    if spec.startswith(("ppmd", "flac")):
        pytest.importorskip({"ppmd": "pyppmd", "flac": "soundfile"}[spec[:4]])
    state, fork, found = shared_by_a_fork(spec)
    assert {name for name, _ in found} <= SHARED
    kept = [value for name, value in found if name != "OneStepState._contexts[]"]  # whose meters only ever measure
    before = [pickle.dumps(value) for value in kept]
    for a, b in zip(b"sat on the bat " * 10, b"another sentence altogether" * 6, strict=False):
        for each, symbol in ((state, a), (fork, b)):
            each.frequencies()
            each.extend(np.array([symbol], dtype=np.uint8))
    assert [pickle.dumps(value) for value in kept] == before


SEARCHED = [BackoffHistory, BitMixer, Copies, History, Mixer, Pass, PpmdModel, Prices, ProposalsRow, Signal]


@pytest.mark.parametrize("cls", SEARCHED)
def test_a_fork_that_copies_references_alone_is_found(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cls, "fork", copy.copy)
    specs = {
        **dict.fromkeys((BitMixer, Copies, Pass), "gzip:rule=calibrated"),
        Signal: "bz2:pixel=1",
        PpmdModel: "ppmd:rule=decoder",
    }
    spec = specs.get(cls, "bz2+backoff")
    _, _, found = shared_by_a_fork(spec)
    names = {name for name, _ in found} - SHARED
    holder = Pools if cls is PpmdModel else cls
    assert any(name.startswith(f"{holder.__name__}.") for name in names), names


def test_a_new_field_that_a_fork_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Signal.__init__

    def with_a_new_field(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self.forgotten = [0]

    monkeypatch.setattr(Signal, "__init__", with_a_new_field)
    assert "Signal.forgotten" in {name for name, _ in shared_by_a_fork("bz2:pixel=1")[2]}
