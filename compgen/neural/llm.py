"""Language models by spec: the one in the package, those that ``cgn train`` makes, any causal model of Hugging Face's.

The folder's ``config.json`` decides which of two classes a spec becomes:

- ``ByteLLM``: a network over bytes. It adds integers only, so its files decode on every machine (``bytes/``).
- ``TokenLLM``: any other model. transformers computes it in floating point behind its tokeniser (``tokens/``), so its
  files decode only where the same floats come out.

The environment variable ``COMPGEN_DEVICE`` says where to compute: ``cpu``, the default, or ``cuda``.
"""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.extras import check
from compgen.jit import numba_is_installed
from compgen.models.base import ROW, ByteModel, State
from compgen.models.language import BEAM, LanguageModel, TokenModel, TokenState
from compgen.neural import folder
from compgen.neural.loading import loading
from compgen.registry import Spec

if TYPE_CHECKING:
    from compgen.neural.bytes.network import ByteNetwork
    from compgen.neural.tokens.engine import CausalLM
    from compgen.neural.tokens.tokeniser import Tokeniser

_WINDOW = 512
"""The largest window that a network over bytes gets by itself, bytes."""

_TOKEN_WINDOW = 2048
"""The largest window that a model with a tokeniser gets by itself, tokens: that of ``tokens/tree.py``."""

_FORWARD = 64 << 20
"""Bytes of memory that a forward pass takes beside the cache. Chosen: well above that of the shipped network."""


@dataclass(frozen=True)
class LLM(LanguageModel):
    """A causal language model as a next-byte distribution. ``LLM.open`` and specs build one of its two subclasses.

    In a spec, options follow the folder after a comma: ``llm:DIR,beam=10``.

    Attributes:
        path: a folder in Hugging Face's layout (config.json, safetensors), or a name on its hub. Empty: the weights
            inside the package.
        window: N: a row looks back N to 2N bytes, or tokens for a model with a tokeniser. 0: half of what the network
            was trained on, at most 512 bytes or 2,048 tokens.
        dtype: the type in which a model with a tokeniser computes: float32, bfloat16 or float16.
        beam: bits: a model with a tokeniser drops token sequences that are so far behind (``tokens/byte_state.py``).
            0 drops none. Networks over bytes have no such sequences.
    """

    path: str = field(default="", metadata={"argument": True})
    window: int = 0
    dtype: str = "float32"
    beam: int = BEAM

    name: ClassVar[str] = "llm"

    def __post_init__(self) -> None:
        if self.window < 0:
            raise UsageError(
                f"window must be a number of bytes or tokens, or 0 for half of the network's own, not {self.window}"
            )
        if self.beam < 0:
            raise UsageError(f"beam must be a number of bits, or 0 to drop nothing, not {self.beam}")

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Build the subclass that suits the folder in ``spec``.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            UsageError: there is no such folder, or an option does not suit its model.
        """
        for module in ("torch", "transformers"):
            check(module, "llm", "model 'llm'")
        if cls is not LLM:
            return super().from_spec(spec)
        path = folder.find(spec.argument or "")
        kind = ByteLLM if folder.speaks_bytes(folder.read_config(path)) else TokenLLM
        return kind.from_spec(spec)  # type: ignore[return-value]

    @classmethod
    def open(cls, path: str = "", **options: object) -> Self:
        """Return the model at ``path`` with the given options, the fields of this class; errors as in ``from_spec``."""
        return cls.from_spec(Spec(cls.name, path or None, tuple((key, str(value)) for key, value in options.items())))

    @property
    def parameters(self) -> int:
        """Numbers in all tensors of the weights; errors as in ``folder.parameters``."""
        return folder.parameters(self._folder)

    @property
    def shipped(self) -> int:
        """Bytes of the weights on disk; errors as in ``folder.weights_file``."""
        return folder.weights_file(self._folder).stat().st_size

    @property
    def start_time(self) -> float:
        """Seconds that the shipped network takes. A file cannot choose another."""
        return 0.7

    @property
    def byte_time(self) -> float | None:
        """Of the shipped network on a CPU. Measured with compiled loops, a fifth: 1.9 ms in one lane."""
        return 9.5e-3 if not self.path and device() == "cpu" else None

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes of the KV caches of ``rows`` rows; see ``ByteModel.memory``.

        Windows that reopen copy half of them. A GPU's own memory is left out: where it does not suffice, that is an
        OutOfMemoryError, and does no harm.
        """
        if device() == "cuda":
            return rows * ROW
        config = folder.read_config(self._folder)
        slots = self._slots(config, length) + self._spare_slots
        return _FORWARD + rows * (ROW + 3 * folder.cache_memory(config, slots, self._number_size) // 2)

    @abstractmethod
    def _slots(self, config: dict[str, Any], length: int) -> int:
        """Slots of a row's cache for its window after ``length`` bytes, at most; ``config`` is the folder's."""

    @property
    @abstractmethod
    def _spare_slots(self) -> int:
        """Slots of a row's cache beside those of its window, at most."""

    @property
    @abstractmethod
    def _number_size(self) -> int:
        """Bytes of a number in the cache."""

    @property
    def _folder(self) -> Path:
        return folder.find(self.path)


@dataclass(frozen=True)
class ByteLLM(LLM):
    """A network over bytes. Its frequencies are the same on every machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype != "float32" or self.beam != BEAM:
            raise UsageError("dtype and beam are for models with a tokeniser; this one reads bytes: leave them out")

    @property
    def versions(self) -> str:
        """The first digits of the weights' digest."""
        return f"weights {self.behaviour(b'').hex()[:8]}"

    @property
    def most_lanes(self) -> int:
        """Rows from which on more gain no speed; docs/language-models.md and docs/gpu.md."""
        return {"cpu": 64, "cuda": 2048}[device()]

    def _slots(self, config: dict[str, Any], length: int) -> int:
        return min(2 * (self.window or _WINDOW), int(config.get("max_position_embeddings") or 2 * _WINDOW))

    @property
    def _spare_slots(self) -> int:
        return 64  # they come in blocks

    @property
    def _number_size(self) -> int:
        return 2 if numba_is_installed() else 4  # compiled code packs them

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of the weights; they decide every frequency, so ``probe`` is not used."""
        return self.network.digest

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state of B rows after ``prompts``, B byte strings.

        Raises:
            UsageError: the window is larger than the network's, or the folder's files do not fit each other.
        """
        from compgen.neural.bytes.state import ByteLanguageState

        network = self.network
        longest = (network.shape.positions - 1) // 2
        if self.window > longest:
            raise UsageError(f"window must be at most {longest} for this network, not {self.window}")
        if network.device == "cuda":
            from compgen.neural.bytes.cuda_state import DeviceLanguageState

            return DeviceLanguageState.start(network, self.window or longest, prompts)
        return ByteLanguageState.start(network, self.window or longest, prompts)

    @property
    def network(self) -> ByteNetwork:
        """The network, loaded once for each folder and device; errors as in ``start``."""
        from compgen.neural.bytes.network import load

        with loading():
            return load(str(self._folder), device())


@dataclass(frozen=True)
class TokenLLM(LLM, TokenModel):
    """A model with a tokeniser, computed in floating point."""

    @property
    def reproducible(self) -> bool:
        """False: floats differ between machines and batches."""
        return False

    @property
    def versions(self) -> str:
        """The first digits of the files' digest; libraries, device and type."""
        from compgen.neural.tokens.engine import versions

        return f"weights {folder.digest(str(self._folder)).hex()[:8]}, {versions()}, {device()}, {self.dtype}"

    @property
    def most_lanes(self) -> int:
        """Rows from which on more gain no speed; docs/language-models.md and docs/gpu.md."""
        return {"cpu": 32, "cuda": 256}[device()]

    def _slots(self, config: dict[str, Any], length: int) -> int:
        positions = config.get("text_config", config).get("max_position_embeddings") or sys.maxsize
        return min(2 * (self.window or _TOKEN_WINDOW), int(positions), length + 1)  # a token has a byte or more

    @property
    def _spare_slots(self) -> int:
        return 256  # for the token sequences that may spell the last bytes

    @property
    def _number_size(self) -> int:
        return 4 if self.dtype == "float32" else 2

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of weights and tokeniser, the window and the beam. ``probe`` is not used.

        These decide every probability. The window by default is the model's own, and no probe is so long as to show it.
        """
        from compgen.neural.tokens.tree import fitting_window

        window = fitting_window(*self.engine, self.window)
        return folder.digest(str(self._folder)) + f"window={window.size},beam={self.beam}".encode()

    def earlier(self) -> Sequence[ByteModel]:
        """Return the models that files before format version 4 may mean by the same spec; see ``EarlierTokenLLM``.

        Today's default beam may have been named, or not, which meant none.
        """
        window = self.window or self.engine[0].earlier_window
        beams = {self.beam, 0} if self.beam == BEAM else {self.beam}
        return [EarlierTokenLLM(self.path, window, self.dtype, beam) for beam in sorted(beams)]

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state of B rows after ``prompts``, B byte strings, that goes on byte by byte.

        Raises:
            UsageError: the model cannot be loaded, or the window is larger than the model's.
            IncompatibleError: the model or its tokeniser cannot be used for bytes, or they do not belong together.
        """
        from compgen.neural.tokens.byte_state import TokenisedState

        return TokenisedState.start(*self.engine, prompts, self.window, self.beam)

    @property
    def missing(self) -> frozenset[int]:
        """The bytes that no token spells."""
        return self.engine[1].missing

    def encode(self, data: bytes) -> list[int] | None:
        """Return tokens that spell ``data``, or None; see ``TokenModel.encode``."""
        tokeniser = self.engine[1]
        return None if tokeniser.missing.intersection(data) else tokeniser.encode_text(data)

    def token_bits(self, texts: Sequence[bytes]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return (ends, bits) for each of ``texts``; see ``TokenModel.token_bits``. Errors as in ``start``."""
        from compgen.neural.tokens.parallel_pass import token_bits

        return token_bits(*self.engine, texts)

    def start_tokens(self, rows: int) -> TokenState:
        """Return a state of ``rows`` empty texts that codes tokens; errors as in ``start``."""
        from compgen.neural.tokens.token_state import TokenCoderState

        return TokenCoderState.start(*self.engine, [b""] * rows, self.window)

    @property
    def engine(self) -> tuple[CausalLM, Tokeniser]:
        """The model and its tokeniser, loaded once for each folder, device and type; errors as in ``start``."""
        from compgen.neural.tokens.loading import load_pair

        with loading():
            return load_pair(str(self._folder), device(), self.dtype)


class EarlierTokenLLM(TokenLLM):
    """A model with a tokeniser as files before format version 4 have it: a short window, no beam, another digest."""

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of all files of the folder."""
        return folder.digest_of_all(str(self._folder))


def device() -> str:
    """Return the device on which networks are computed, ``cpu`` or ``cuda``: the value of ``COMPGEN_DEVICE``.

    Raises:
        UsageError: the variable has another value, or there is no such device.
    """
    name = os.environ.get("COMPGEN_DEVICE", "cpu")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"COMPGEN_DEVICE must be cpu or cuda, not '{name}'")
    if name == "cuda":
        import torch

        if torch.cuda._is_in_bad_fork():
            raise UsageError(
                "COMPGEN_DEVICE is cuda, but this process was forked from one that uses the GPU; start it by spawn: "
                "multiprocessing.get_context('spawn')"
            )
        if not torch.cuda.is_available():
            raise UsageError("COMPGEN_DEVICE is cuda, but torch sees no GPU here; unset it, or install torch for CUDA")
    return name
