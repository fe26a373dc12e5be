"""Tests that need a GPU: ``python -m pytest -m gpu`` runs them alone. docs/gpu.md keeps their last output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compgen
from compgen.coding.container import ModelFrame
from compgen.errors import CorruptDataError, IncompatibleError
from compgen.models import load
from tests.fuzz.containers import frames

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from compgen.neural import folder  # noqa: E402
from compgen.neural.bytes import network  # noqa: E402
from compgen.neural.tokens.engine import CausalLM  # noqa: E402
from compgen.neural.tokens.token_state import TokenCoderState  # noqa: E402
from compgen.neural.tokens.tokeniser import Tokeniser  # noqa: E402
from tests.neural import tiny  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("COMPGEN_DEVICE", "cuda")
    return monkeypatch


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list of the graphs that are replayed."""
    done, replay = [], torch.cuda.CUDAGraph.replay

    def kept(graph: Any) -> None:
        done.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", kept)
    return done


@pytest.fixture(params=["kernels", "torch"])
def computed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute networks over bytes with Triton's kernels, or with torch, as without Triton."""
    if request.param == "kernels":
        pytest.importorskip("triton")
    else:
        monkeypatch.setattr(network, "_triton_is_installed", lambda: False)
    network.load.cache_clear()
    assert (network.load(str(folder.find("")), "cuda").kernels is None) == (request.param == "torch")
    yield
    network.load.cache_clear()


def test_kernels_give_the_numbers_that_torch_gives() -> None:
    """For networks of other sizes than the shipped one, with heavy tails in their weights."""
    pytest.importorskip("triton")
    from tests.neural.triton_oracle import decode_as_torch_does, give_what_torch_gives, networks, round_as_torch_does

    round_as_torch_does("cuda")
    for net in networks("cuda"):
        give_what_torch_gives(net)
        decode_as_torch_does(net)


@pytest.mark.usefixtures("computed")
def test_the_integers_are_those_of_a_cpu(cuda: pytest.MonkeyPatch, replays: list[Any], prose: bytes) -> None:
    """With and without graphs, through windows that reopen."""
    prompts, generator = [b"", prose[:300], prose[7:900]], np.random.default_rng(1)
    there = load("llm").start(prompts)
    cuda.setenv("COMPGEN_DEVICE", "cpu")
    here = load("llm").start(prompts)
    for step in range(300):
        points = generator.integers(1 << 24, size=3)
        found = [state.locate(points) for state in (here, there)]
        assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True)), f"step {step}"
        if step % 50 == 1:
            assert np.array_equal(here.frequencies(), there.frequencies()), f"step {step}"
        symbols = found[0][0] if step % 10 else generator.integers(256, size=3).astype(np.uint8)
        for state in (here, there):
            state.extend(symbols)
    assert len(replays) > 200


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("lanes", [1, 64, 2048])
def test_files_of_bytes_go_to_and_from_a_gpu(cuda: pytest.MonkeyPatch, prose: bytes, lanes: int) -> None:
    data = (prose * (1 + lanes * 40 // len(prose)))[: max(600, lanes * 40)]
    blob = compgen.compress(data, "llm", lanes=lanes)
    assert compgen.decompress(blob) == data
    cuda.setenv("COMPGEN_DEVICE", "cpu")
    assert compgen.decompress(blob) == data
    assert compgen.compress(data, "llm", lanes=lanes, verify=False) == blob


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_files_of_tokens_decode_or_are_refused(cuda: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    model = f"llm:{tiny.make(kind, tmp_path / kind)}"
    data = compgen.sample(model, length=400, temperature=0.2, allow="printable", seed=1)[0].data
    for item in (data, b"", bytes(range(256)), b"\xff\xfe <|endoftext|>"):
        for lanes in (1, 64):
            blob = compgen.compress(item, model, lanes=lanes)
            assert compgen.decompress(blob, model) == item
    cuda.setenv("COMPGEN_DEVICE", "cpu")
    try:
        assert compgen.decompress(compgen.compress(data, model), model) == data
        assert compgen.decompress(blob, model) == item
    except (IncompatibleError, CorruptDataError):
        pass


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_steps_of_tokens_are_replayed_and_give_what_they_give_one_by_one(
    replays: list[Any], tmp_path: Path, kind: str
) -> None:
    """Through windows that reopen, and caches that grow."""
    path = str(tiny.make(kind, tmp_path))
    engine, tokens = CausalLM.load(path, "cuda"), Tokeniser.load(path)
    replayed, computed = (TokenCoderState.start(engine, tokens, [b"", b"The sea"], window=40) for _ in range(2))
    generator = np.random.default_rng(1)
    for step in range(200):
        points = generator.integers(1 << TokenCoderState.precision, size=2)
        computed._graphs._cuda = False
        for one, other in zip(replayed.append_at(points), computed.append_at(points), strict=True):
            assert np.array_equal(one, other), f"step {step}"
            assert (one >= 0).all(), f"step {step}"
    assert len(replays) > 150, f"captured, or None: {replayed._graphs._graphs}"


def test_lanes_are_halved_until_they_fit(cuda: pytest.MonkeyPatch, prose: bytes) -> None:
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        data = (prose * (1 + (1 << 18) // len(prose)))[: 1 << 18]
        blob = compgen.compress(data, "llm", lanes=4096)
        (named,) = (frame for frame in frames(blob) if isinstance(frame, ModelFrame))
        assert named.lanes < 4096
        assert compgen.decompress(blob) == data
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
