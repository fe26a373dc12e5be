"""Triton's kernels beside torch: by ``test_gpu.py`` on a GPU, and without one by Triton's interpreter.

That wants a process that is told to interpret before it imports triton, so ``test_triton_forward.py`` runs this as
``TRITON_INTERPRET=1 python -m tests.neural.kernels FOLDER``.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
import triton
import triton.language as tl

from compgen.neural.bytes import torch_forward
from compgen.neural.bytes.cuda_state import DeviceLanguageState
from compgen.neural.bytes.torch_forward import Cache, ExactLlama, NetworkShape
from compgen.neural.bytes.triton_forward import Kernels, _rint, proven
from compgen.neural.llm import _loaded

PROSE = b"Call me Ishmael. Some years ago - never mind how long precisely - having little or no money in my purse"


def networks(device: str) -> list[ExactLlama]:
    """Groups that are no power of two, sums beyond int32, rows beyond a tile's power of two, weights of heavy tails."""
    generator = np.random.default_rng(3)
    found = []
    for layers, width, inner, heads, kv_heads, head_width in ((1, 64, 1544, 3, 1, 32), (1, 1096, 64, 4, 2, 16)):
        shape = NetworkShape(layers, width, heads, kv_heads, head_width, theta=1e4, positions=100)
        sizes = shape.tensors(257, inner)
        tensors = {name: generator.standard_t(3, size=size) for name, size in sizes.items()}
        for name in tensors:
            if "o_proj" in name or "down_proj" in name:
                tensors[name] /= 512  # beyond 2**53 a sum of squares depends on its order
        found.append(ExactLlama(shape, tensors.__getitem__, device))
    return found


@triton.jit
def _rint_each(x, out, COUNT: tl.constexpr):
    places = tl.arange(0, COUNT)
    tl.store(out + places, _rint(tl.load(x + places)))


def round_as_torch_does(device: str) -> None:
    """Where float32 has halves, where it has none, and beyond."""
    edges = [0.0, 0.3, 0.5, 1.5, 2.5, 2.0**22 + 0.5, 2.0**22 + 1.5, 2.0**23 - 0.5, 2.0**23 + 1, 1e30, float("inf")]
    x = torch.tensor([*edges, *(-edge for edge in edges)], device=device)
    x = torch.cat((x, torch.linspace(-9, 9, 64 - len(x), device=device)))
    out = torch.empty_like(x)
    _rint_each[(1,)](x, out, len(x), enable_fp_fusion=False)
    assert torch.equal(out, torch.round(x))


def give_what_torch_gives(network: ExactLlama) -> None:
    """A stretch beyond a block of attention, then steps of rows that stand apart; logits and caches."""
    symbols = torch.from_numpy(np.random.default_rng(4).integers(256, size=(2, 44))).to(network.device)
    caches = [Cache(network.shape, 2, 70, network.device, packed=True) for _ in range(2)]
    kernels, network.kernels = Kernels(network), None
    long = min(40, network.shape.positions - 24)
    for begin, end, apart in ((0, long, 0), (long, long + 1, 3), (long + 1, long + 4, 20)):
        starts = begin + np.array([0, apart])
        part = symbols[:, begin:end]
        places = torch.from_numpy(starts[:, None] + np.arange(end - begin)).to(network.device)
        logits = network.forward(caches[0], part, starts)
        assert torch.equal(kernels.forward(caches[1], part, places), logits)
        assert logits.std() > 0.1
        for memory in ("keys", "values", "scales"):
            assert torch.equal(*(getattr(cache, memory) for cache in caches))


def decode_as_torch_does(network: ExactLlama) -> None:
    """Steps that are located, windows that turn, rows that are forked."""
    states, compiled = [], Kernels(network)  # one, whose memory graphs hold on to
    for kernels in (None, compiled):
        network.kernels = kernels
        states.append(DeviceLanguageState.start(network, 8, [b"", PROSE[:5], PROSE[:30]]))
    points = np.random.default_rng(5).integers(1 << 24, size=(12, 3))
    for step, row in enumerate(points):
        found = []
        for i, state in enumerate(states):
            network.kernels = compiled if i else None
            found.append(state.locate(row))
            state.extend(found[-1][0])
            if step == 5:
                states[i] = state.fork([2, 0, 0])
        assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True)), f"step {step}"
    network.kernels = None


def main() -> None:
    torch_forward._WORTH_COMPILING = 1 << 60  # torch is what kernels are compared with
    round_as_torch_does("cpu")
    tiny = _loaded(sys.argv[1], "cpu")
    for network in (tiny, *networks("cpu")):
        give_what_torch_gives(network)
    decode_as_torch_does(tiny)
    assert proven(tiny)
    print("the same")


if __name__ == "__main__":
    main()
