"""The network that callers use: it loads a folder, and computes with the fastest backend that serves here."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from compgen.errors import UsageError
from compgen.jit import Loops, numba_is_installed
from compgen.neural import folder
from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.torch_forward import TorchForward
from compgen.neural.bytes.weights import NetworkShape, QuantisedWeights
from compgen.neural.memory import room_for

if TYPE_CHECKING:
    from compgen.neural.bytes.numba_forward import NumbaForward
    from compgen.neural.bytes.triton_forward import TritonForward

LOOPS = Loops(cost=4.0)
"""The loops of ``numba_forward.py``, with torch as their fallback. The cost is about what importing numba and compiling
them takes, once on a machine."""

COMPILED_THREADED = 32
"""From so many symbols on, compiled loops use several threads. Chosen: for fewer, threads cost more than they gain."""

TORCH_THREADED = 128
"""The same for torch. Chosen larger, since its threads wait for each other at each of a thousand small operations."""


class ByteNetwork:
    """A network over bytes: symbols in, logits out.

    Attributes:
        weights: the weights.
        shape: sizes of the network.
        device: where it computes, ``cpu`` or ``cuda``.
        compilable: whether numba's loops can compute this network, once they are worth compiling (``LOOPS``).
        kernels: Triton's kernels, on a GPU where they serve.
    """

    def __init__(self, weights: QuantisedWeights) -> None:
        self.weights = weights
        self.shape = weights.shape
        self.device = weights.device
        self._torch = TorchForward(weights)
        # The loops of attention take the numbers of a head by eights.
        by_eights = weights.integers and weights.shape.head_width % 8 == 0
        self.compilable = weights.device == "cpu" and by_eights and numba_is_installed()
        self.kernels = proven_kernels(weights) if weights.device == "cuda" else None

    @property
    def digest(self) -> bytes:
        """16 bytes that identify the weights and the arithmetic."""
        return self.weights.digest

    def cache(self, rows: int, slots: int) -> KVCache:
        """Return an empty cache; errors as in ``forward``."""
        packed = self.compilable or self.kernels is not None
        with room_for(rows):
            return KVCache(self.shape, rows, slots, self.device, packed=packed)

    def forward(self, cache: KVCache, symbols: Tensor, begin: NDArray[np.int64]) -> Tensor:
        """Return (B, T, symbols) float32 logits, nats; keys and values of the symbols are written into ``cache``.

        Args:
            cache: of the symbols before.
            symbols: (B, T) int64.
            begin: (B,) the position of each row's first symbol.

        Raises:
            IndexError: a symbol has no slot in the cache. Compiled code would write outside of it.
            OutOfMemoryError: the device has no room for it.
        """
        rows, steps = symbols.shape
        if begin.min() < 0 or begin.max() + steps > min(cache.slots, self.shape.positions):
            raise IndexError(f"no slots from {begin.min()} to {begin.max() + steps}")
        compiled = self.compilable and LOOPS.run_compiled
        with room_for(rows), _threads(symbols.numel() >= (COMPILED_THREADED if compiled else TORCH_THREADED)):
            if compiled:
                return self._numba.forward(cache, symbols, begin)
            with LOOPS.fallback():
                aligned = bool((begin == begin[0]).all())
                positions = torch.from_numpy(begin[:, None] + np.arange(steps)).to(self.device)
                return self._compute(cache, symbols, positions, int(begin.max()) + steps, aligned)

    def step(self, cache: KVCache, symbols: Tensor, positions: Tensor, seen: int) -> Tensor:
        """Return (B, symbols) logits after one more symbol in each row. This call can be captured as a CUDA graph.

        Args:
            cache: of the symbols before; it is extended.
            symbols: (B,) int64.
            positions: (B,) int64: where they stand.
            seen: slots that attention reads; all positions are below.
        """
        return self._compute(cache, symbols[:, None], positions[:, None], seen, aligned=False)[:, 0]

    def _compute(self, cache: KVCache, symbols: Tensor, positions: Tensor, seen: int, aligned: bool) -> Tensor:
        """See ``TorchForward.forward``; kernels take less and give the same."""
        if self.kernels is not None:
            return self.kernels.forward(cache, symbols, positions)
        return self._torch.forward(cache, symbols, positions, seen, aligned)

    @functools.cached_property
    def _numba(self) -> NumbaForward:
        from compgen.neural.bytes.numba_forward import NumbaForward

        return NumbaForward(self.weights)


@functools.lru_cache(maxsize=4)
def load(path: str, device: str) -> ByteNetwork:
    """Return the network of a folder, loaded once for each folder and device.

    Raises:
        UsageError: the folder holds no network over bytes, or its files are damaged or do not fit each other.
        OutOfMemoryError: the device has no room for the weights.
    """
    config = folder.read_config(Path(path))
    weights = folder.weights_file(Path(path))
    if not folder.speaks_bytes(config):
        raise UsageError(f"'{path}' is no byte-level model of the Llama type (257 symbols)")
    shape = NetworkShape.from_config(config, path)
    try:
        tensors = load_file(weights)
        for name, size in shape.tensor_sizes(folder.BYTE_SYMBOLS).items():
            if tensors[name].shape != size:
                found = " x ".join(map(str, tensors[name].shape))
                raise UsageError(
                    f"'{weights}' is not of this config.json: {name} is {found} there; "
                    "put both files of one model into the folder"
                )
        with room_for(0):
            return ByteNetwork(QuantisedWeights(shape, lambda name: tensors[name].double().numpy(), device))
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{weights}' cannot be read: {error}") from None
    except KeyError as error:
        raise UsageError(f"'{weights}' lacks the tensor {error}; is it of this config.json?") from None


def proven_kernels(weights: QuantisedWeights) -> TritonForward | None:
    """Return Triton's kernels for these weights, once they have given torch's logits on some symbols here.

    Returns None without Triton or for weights that the kernels do not take, and, with a warning, if they do not compile
    or give other numbers.
    """
    if not _triton_is_installed():
        return None
    from compgen.neural.bytes.triton_forward import HEAD_WIDTHS, TritonForward

    if not weights.integers or weights.shape.head_width not in HEAD_WIDTHS:
        return None
    try:
        kernels = TritonForward(weights)
        if not _same_as_torch(kernels, weights):
            raise ArithmeticError("they give other numbers")
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a missing compiler, for example
        warnings.warn(
            f"Triton's kernels do not serve here ({type(error).__name__}: {error}); torch alone takes several times as "
            "long over networks of bytes",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return kernels


def _same_as_torch(kernels: TritonForward, weights: QuantisedWeights) -> bool:
    """Return whether kernels give torch's logits on seeded symbols: many at once, then one more."""
    rows, steps = 3, min(weights.shape.positions - 1, 150)  # several blocks of attention
    symbols = torch.from_numpy(np.random.default_rng(1).integers(256, size=(rows, steps + 1))).to(weights.device)
    positions = torch.arange(steps + 1, device=weights.device).expand(rows, -1)
    ours, theirs = (KVCache(weights.shape, rows, steps + 1, weights.device, packed=True) for _ in range(2))
    reference = TorchForward(weights)
    return all(
        torch.equal(
            kernels.forward(ours, symbols[:, part], positions[:, part]),
            reference.forward(theirs, symbols[:, part], positions[:, part], part.stop, aligned=True),
        )
        for part in (slice(0, steps), slice(steps, steps + 1))
    )


def _triton_is_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


@contextmanager
def _threads(several: bool) -> Iterator[None]:
    """Have torch compute with as many threads as it is set to, or with one."""
    threads = torch.get_num_threads()
    if several or threads == 1:
        yield
        return
    torch.set_num_threads(1)  # for the whole process, so it is set again below
    try:
        yield
    finally:
        torch.set_num_threads(threads)
