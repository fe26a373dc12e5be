"""Compares Triton's kernels with torch: ``test_gpu.py`` does on a GPU, and Triton's interpreter does without one.

The interpreter must be chosen before triton is imported, so ``test_triton_forward.py`` runs this module in a process of
its own: ``TRITON_INTERPRET=1 python -m tests.neural.triton_oracle FOLDER``.

It is not named ``kernels``: transformers would import it as the package of that name, since pytest puts its folder on
the path.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
import triton
import triton.language as tl

from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.cuda_state import DeviceLanguageState
from compgen.neural.bytes.network import LOOPS, ByteNetwork, load, proven_kernels
from compgen.neural.bytes.triton_forward import TritonForward, _rint
from compgen.neural.bytes.weights import NetworkShape, QuantisedWeights

PROSE = b"Call me Ishmael. Some years ago - never mind how long precisely - having little or no money in my purse"


def networks(device: str) -> list[ByteNetwork]:
    """Networks with a group that is no power of two, sums beyond int32, widths that fill no tile, and heavy tails."""
    generator = np.random.default_rng(3)
    found = []
    for layers, width, inner, heads, kv_heads, head_width in ((1, 64, 1544, 3, 1, 32), (1, 1096, 64, 4, 2, 16)):
        shape = NetworkShape(layers, width, heads, kv_heads, head_width, theta=1e4, positions=100, inner_width=inner)
        sizes = shape.tensor_sizes(257)
        tensors = {name: generator.standard_t(3, size=size) for name, size in sizes.items()}
        for name in tensors:
            if "o_proj" in name or "down_proj" in name:
                tensors[name] /= 512  # a sum of squares beyond 2**53 would depend on its order
        found.append(ByteNetwork(QuantisedWeights(shape, tensors.__getitem__, device)))
    return found


@triton.jit
def _rint_each(x, out, COUNT: tl.constexpr):
    places = tl.arange(0, COUNT)
    tl.store(out + places, _rint(tl.load(x + places)))


def round_as_torch_does(device: str) -> None:
    """For numbers where float32 has halves, for larger ones, and for infinity."""
    edges = [0.0, 0.3, 0.5, 1.5, 2.5, 2.0**22 + 0.5, 2.0**22 + 1.5, 2.0**23 - 0.5, 2.0**23 + 1, 1e30, float("inf")]
    x = torch.tensor([*edges, *(-edge for edge in edges)], device=device)
    x = torch.cat((x, torch.linspace(-9, 9, 64 - len(x), device=device)))
    out = torch.empty_like(x)
    _rint_each[(1,)](x, out, len(x), enable_fp_fusion=False)
    assert torch.equal(out, torch.round(x))


def give_what_torch_gives(network: ByteNetwork) -> None:
    """Logits and caches, after more symbols than a block of attention, then after steps of rows that stand apart."""
    symbols = torch.from_numpy(np.random.default_rng(4).integers(256, size=(2, 44))).to(network.device)
    caches = [KVCache(network.shape, 2, 70, network.device, packed=True) for _ in range(2)]
    kernels, network.kernels = TritonForward(network.weights), None
    long = min(40, network.shape.positions - 24)
    for begin, end, apart in ((0, long, 0), (long, long + 1, 3), (long + 1, long + 4, 20)):
        starts = begin + np.array([0, apart])
        part = symbols[:, begin:end]
        places = torch.from_numpy(starts[:, None] + np.arange(end - begin)).to(network.device)
        logits = network.forward(caches[0], part, starts)
        assert torch.equal(kernels.forward(caches[1], part, places), logits)
        assert logits.std() > 0.1
        for memory in ("keys", "values", "key_scales"):
            assert torch.equal(*(getattr(cache, memory) for cache in caches))


def decode_as_torch_does(network: ByteNetwork) -> None:
    """Through steps by ``locate``, windows that reopen, and forked rows."""
    states, compiled = [], TritonForward(network.weights)  # kept, because graphs refer to its memory
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
    LOOPS.cost = float("inf")  # kernels are compared with torch
    round_as_torch_does("cpu")
    tiny = load(sys.argv[1], "cpu")
    for network in (tiny, *networks("cpu")):
        give_what_torch_gives(network)
    decode_as_torch_does(tiny)
    assert proven_kernels(tiny.weights)
    print("the same")


if __name__ == "__main__":
    main()
