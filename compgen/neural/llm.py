"""Language models by spec: the one in the package, one trained by ``cgn train``, any causal model of Hugging Face's.

A spec becomes one of two classes, by what its folder's ``config.json`` says. ``ByteLLM`` is a network over bytes: all
its sums are of integers, so its files decode on every machine (``bytes/``). ``TokenLLM`` is every other model:
transformers computes it in floating point behind its tokeniser (``tokens/``), and its files decode where the same
floats come out.
``COMPGEN_DEVICE`` says where to compute: ``cpu``, the default, or ``cuda``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from compgen.errors import UsageError
from compgen.extras import check
from compgen.models.base import State
from compgen.models.language import LanguageModel, TokenModel, TokenState
from compgen.neural import folder
from compgen.registry import Spec

if TYPE_CHECKING:
    from compgen.neural.bytes.network import ByteNetwork
    from compgen.neural.tokens.engine import CausalLM
    from compgen.neural.tokens.tokeniser import Tokens


@dataclass(frozen=True)
class LLM(LanguageModel):
    """A causal language model as a next-byte distribution; ``LLM.open`` and specs give one of its two subclasses.

    Attributes:
        path: a folder in Hugging Face's layout (config.json, safetensors), or the name of one on its hub; empty for
            the weights inside the package.
        window: N, bytes or tokens: a row looks back N to 2N of them. 0 stands for half of what the network was trained
            on.
        dtype: what a model with a tokeniser computes in.
        beam: bits: a model with a tokeniser leaves out ways of reading that are so far behind
            (``tokens/byte_state.py``); 0 leaves out none.
    """

    path: str = field(default="", metadata={"argument": True})
    window: int = 0
    dtype: str = "float32"
    beam: int = 0

    name: ClassVar[str] = "llm"

    def __post_init__(self) -> None:
        if self.window < 0:
            raise UsageError(f"window must be a number of bytes, or 0 for half the network's own, not {self.window}")
        if self.beam < 0:
            raise UsageError(f"beam must be a number of bits, or 0 to leave out nothing, not {self.beam}")

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Build the subclass that suits the folder that ``spec`` names.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            UsageError: there is no such folder, or an option is wrong.
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
        """Return the model of a folder; errors as in ``from_spec``."""
        return cls.from_spec(Spec(cls.name, path or None, tuple((key, str(value)) for key, value in options.items())))

    @property
    def parameters(self) -> int:
        """Numbers in all tensors of the file of weights; errors as in ``folder.parameters``."""
        return folder.parameters(self._folder)

    @property
    def shipped(self) -> int:
        """Bytes of the file of weights."""
        return folder.weights_file(self._folder).stat().st_size

    @property
    def _folder(self) -> Path:
        return folder.find(self.path)


@dataclass(frozen=True)
class ByteLLM(LLM):
    """A network over bytes, the same on every machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype != "float32" or self.beam:
            raise UsageError("dtype and beam are for models with a tokeniser; this one speaks bytes: leave them out")

    @property
    def versions(self) -> str:
        """Its weights, by the digest's first digits."""
        return f"weights {self.behaviour(b'').hex()[:8]}"

    @property
    def most_lanes(self) -> int:
        """Rows that keep the device busy."""
        return {"cpu": 64, "cuda": 2048}[device()]

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of the weights."""
        return self.network.digest

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``."""
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
        """The network, loaded once for each folder and device."""
        from compgen.neural.bytes.network import load

        return load(str(self._folder), device())


@dataclass(frozen=True)
class TokenLLM(LLM, TokenModel):
    """A model with a tokeniser, in floating point."""

    @property
    def reproducible(self) -> bool:
        """False: floats decide."""
        return False

    @property
    def versions(self) -> str:
        """Its weights, by the digest's first digits; libraries, device and type."""
        from compgen.neural.tokens.engine import versions

        return f"weights {self.behaviour(b'').hex()[:8]}, {versions()}, {device()}, {self.dtype}"

    @property
    def most_lanes(self) -> int:
        """Rows that keep the device busy."""
        return {"cpu": 32, "cuda": 256}[device()]

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of weights and tokeniser."""
        return folder.digest(str(self._folder))

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``, byte by byte."""
        from compgen.neural.tokens.byte_state import TokenisedState

        return TokenisedState.start(*self.engine, prompts, self.window, self.beam)

    def encode(self, data: bytes) -> list[int] | None:
        """Return the tokeniser's own encoding of ``data``; see ``TokenModel.encode``."""
        return self.engine[1].encode_text(data)

    def start_tokens(self, rows: int) -> TokenState:
        """Return a state that codes tokens; see ``TokenModel.start_tokens``."""
        from compgen.neural.tokens.token_state import TokenCoderState

        return TokenCoderState.start(*self.engine, [b""] * rows, self.window)

    @property
    def engine(self) -> tuple[CausalLM, Tokens]:
        """The model and its tokeniser, loaded once for each folder, device and type."""
        return _loaded_tokenised(str(self._folder), device(), self.dtype)


def device() -> str:
    """Return where networks are computed, ``cpu`` or ``cuda``, by ``COMPGEN_DEVICE``.

    Raises:
        UsageError: it names another, or there is no such device.
    """
    name = os.environ.get("COMPGEN_DEVICE", "cpu")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"COMPGEN_DEVICE must be cpu or cuda, not '{name}'")
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError("COMPGEN_DEVICE is cuda, but torch sees no GPU here; unset it, or install torch for CUDA")
    return name


@functools.lru_cache(maxsize=2)
def _loaded_tokenised(path: str, place: str, dtype: str) -> tuple[CausalLM, Tokens]:
    """Return the model of a folder, and its tokeniser."""
    from compgen.neural.tokens.engine import CausalLM
    from compgen.neural.tokens.tokeniser import Tokens

    return CausalLM.load(path, place, dtype), Tokens.load(path)
