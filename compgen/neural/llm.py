"""Language models: the one inside the package, one trained with ``cgn train``, any causal model of Hugging Face's.

A folder whose network speaks bytes is computed by ``torch_forward.py``: its files decode on every machine. All others
are computed in floating point by transformers, through their tokeniser (``byte_state.py``), and their files decode
where the same floats come out. ``COMPGEN_DEVICE`` says where to compute: ``cpu``, the default, or ``cuda``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import importlib.util
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compgen.errors import MissingExtraError, UsageError
from compgen.models.base import WORTH_A_LANE, ByteModel, State

if TYPE_CHECKING:
    from compgen.neural.bytes.torch_forward import ExactLlama, Shape
    from compgen.neural.tokens.engine import CausalLM
    from compgen.neural.tokens.token_state import TokenCoderState
    from compgen.neural.tokens.tokeniser import Tokens

_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]
_SYMBOLS = 257
# By device, and whether the network speaks bytes.
_MOST_LANES = {("cpu", True): 64, ("cpu", False): 32, ("cuda", True): 2048, ("cuda", False): 256}


@dataclass(frozen=True)
class LanguageModel(ByteModel):
    """A causal language model as a next-byte distribution.

    ``path`` is a folder in Hugging Face's layout (config.json, safetensors) or the name of one on its hub; without one,
    the weights inside the package. ``window`` is N: a row looks back N to 2N bytes, or tokens; 0 stands for half of
    what the network was trained on. For models with a tokeniser, ``dtype`` is what they compute in, and ``beam``
    leaves out ways of reading that are so many bits behind (``byte_state.py``); 0 leaves out none.
    """

    path: str = field(default="", metadata={"argument": True})
    window: int = 0
    dtype: str = "float32"
    beam: int = 0

    name: ClassVar[str] = "llm"

    def __post_init__(self) -> None:
        for module in ("torch", "transformers"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(f"model 'llm' needs {module}: pip install 'compgen[llm]'")
        if self.window < 0:
            raise UsageError(f"window must be a number of bytes, or 0 for half the network's own, not {self.window}")
        if self.beam < 0:
            raise UsageError(f"beam must be a number of bits, or 0 to leave out nothing, not {self.beam}")

    @property
    def exact(self) -> bool:
        """Whether its network speaks bytes."""
        return speaks_bytes(read_config(self._folder()))

    @property
    def versions(self) -> str:
        """Its weights, by the digest's first digits; the libraries, device and type too where floats decide."""
        weights = f"weights {self.behaviour(b'').hex()[:8]}"
        if self.exact:
            return weights
        from compgen.neural.tokens.engine import versions

        return f"{weights}, {versions()}, {device()}, {self.dtype}"

    def behaviour(self, probe: bytes) -> bytes:
        """Return a digest of weights and tokeniser."""
        return self._network().digest if self.exact else _digest(str(self._folder()))

    def lanes(self, size: int) -> int:
        """Return one lane for every 4 KB, as many as keep the device busy at most."""
        return max(1, min(_MOST_LANES[device(), self.exact], size // WORTH_A_LANE))

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``."""
        if not self.exact:
            from compgen.neural.tokens.byte_state import TokenState

            return TokenState.start(*self._tokenised(), prompts, self.window, self.beam)
        from compgen.neural.bytes.state import ByteLanguageState

        if self.dtype != "float32" or self.beam:
            raise UsageError("dtype and beam are for models with a tokeniser; this one speaks bytes: leave them out")
        network = self._network()
        longest = (network.shape.positions - 1) // 2
        if self.window > longest:
            raise UsageError(f"window must be at most {longest} for this network, not {self.window}")
        if network.device == "cuda":
            from compgen.neural.bytes.cuda_state import DeviceLanguageState

            return DeviceLanguageState.start(network, self.window or longest, prompts)
        return ByteLanguageState.start(network, self.window or longest, prompts)

    def encoding(self, data: bytes) -> list[int] | None:
        """Return the tokeniser's own encoding of ``data``, where it spells ``data`` again."""
        return None if self.exact else self._tokenised()[1].encode_text(data)

    def token_coder(self, rows: int) -> TokenCoderState:
        """Return a state that codes tokens; see ``ByteModel.token_coder``."""
        if self.exact:
            return super().token_coder(rows)  # type: ignore[no-any-return]
        from compgen.neural.tokens.token_state import TokenCoderState

        return TokenCoderState.start(*self._tokenised(), [b""] * rows, self.window)

    def _folder(self) -> Path:
        return folder(self.path)

    def _tokenised(self) -> tuple[CausalLM, Tokens]:
        return _loaded_tokenised(str(self._folder()), device(), self.dtype)

    @property
    def parameters(self) -> int:
        """Numbers in all tensors of the file.

        Raises:
            UsageError: there is no such file.
        """
        from safetensors import SafetensorError, safe_open

        weights = _weights(self._folder())
        try:
            with safe_open(weights, "numpy") as tensors:
                return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UsageError(f"'{weights}' cannot be read: {error}") from None

    @property
    def shipped(self) -> int:
        """Bytes of the file of weights."""
        return _weights(self._folder()).stat().st_size

    def _network(self) -> ExactLlama:
        return _loaded(str(self._folder()), device())


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


def folder(path: str) -> Path:
    """Return the folder of a model: the package's own, one on disk, or one fetched from the hub.

    Raises:
        UsageError: there is none.
    """
    if not path:
        return Path(str(importlib.resources.files("compgen.neural").joinpath("weights")))
    if Path(path).is_dir():
        return Path(path)
    if Path(path).exists():
        raise UsageError(f"'{path}' is a file; name the folder that holds config.json and model.safetensors")
    return _fetched(path)


@functools.lru_cache(maxsize=16)
def _fetched(path: str) -> Path:
    """Return the folder of a model of the hub, the same one for as long as this process runs."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=_FILES))
    except Exception as error:  # whatever the hub's client, the network or the name brings
        raise UsageError(
            f"'{path}' is no folder here (check the path), and the hub did not give it: {str(error).splitlines()[0]}"
        ) from None


@functools.lru_cache(maxsize=4)
def _loaded(path: str, place: str) -> ExactLlama:
    """Return the network of a folder."""
    # Threads that wait for work by spinning starve whatever else runs on their cores, themselves included.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from compgen.neural.bytes.torch_forward import ExactLlama
    from compgen.neural.memory import room_for

    config = read_config(Path(path))
    weights = _weights(Path(path))
    shape, inner_width = _shape(config, path)
    try:
        tensors = load_file(weights)
        for name, size in shape.tensors(_SYMBOLS, inner_width).items():
            if tensors[name].shape != size:
                found = " x ".join(map(str, tensors[name].shape))
                raise UsageError(f"'{weights}' is not of this config.json: {name} is {found} there")
        with room_for(0):
            return ExactLlama(shape, lambda name: tensors[name].double().numpy(), place)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{weights}' cannot be read: {error}") from None
    except KeyError as error:
        raise UsageError(f"'{weights}' lacks the tensor {error}; is it of this config.json?") from None


@functools.lru_cache(maxsize=2)
def _loaded_tokenised(path: str, place: str, dtype: str) -> tuple[CausalLM, Tokens]:
    """Return the model of a folder, and its tokeniser."""
    from compgen.neural.tokens.engine import CausalLM
    from compgen.neural.tokens.tokeniser import Tokens

    return CausalLM.load(path, place, dtype), Tokens.load(path)


@functools.lru_cache(maxsize=8)
def _digest(path: str) -> bytes:
    """Return a digest of the weights and the tokeniser of a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(file for pattern in _FILES for file in Path(path).glob(pattern)):
        digest.update(file.name.encode())
        with file.open("rb") as source:
            while piece := source.read(1 << 20):
                digest.update(piece)
    return digest.digest()


def _weights(path: Path) -> Path:
    """Return the file of weights in a folder."""
    weights = path / "model.safetensors"
    if not weights.exists():
        raise UsageError(f"'{path}' holds no model.safetensors; other formats are not read")
    return weights


def read_config(path: Path) -> dict[str, Any]:
    """Return what ``config.json`` in a folder says.

    Raises:
        UsageError: it is not there, or no JSON object.
    """
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"'{path}' holds no config.json; name a folder in Hugging Face's layout") from None
    except ValueError as error:
        raise UsageError(f"'{path}/config.json' is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"'{path}/config.json' is no JSON object")
    return config


def speaks_bytes(config: dict[str, Any]) -> bool:
    """Return whether a network is over 256 bytes and a start symbol."""
    return bool(config.get("model_type") == "llama" and config.get("vocab_size") == _SYMBOLS)


def _shape(config: dict[str, Any], path: str) -> tuple[Shape, int]:
    """Return the network's shape, and how many gated units it has."""
    from compgen.neural.bytes.torch_forward import Shape

    if not speaks_bytes(config):
        raise UsageError(f"'{path}' is no byte-level model of the Llama type (257 symbols)")
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    plain = (
        config.get("hidden_act", "silu") == "silu"
        and isinstance(rope, dict)
        and not config.get("rope_scaling")
        and not config.get("tie_word_embeddings")
        and not config.get("attention_bias")
        and not config.get("mlp_bias")
        and rope.get("rope_type", "default") == "default"
    )
    if not plain:
        raise UsageError(
            f"'{path}' has biases, scaled rotations, tied embeddings or another activation, which are not supported"
        )
    try:
        heads = int(config["num_attention_heads"])
        shape = Shape(
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_width=int(config.get("head_dim") or config["hidden_size"] // heads),
            theta=float(rope["rope_theta"]),
            positions=int(config["max_position_embeddings"]),
        )
        inner_width = int(config["intermediate_size"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"'{path}/config.json' does not describe a Llama-type network: {error!r}") from None
    # Positions: a start symbol, and a window of twice one byte.
    sizes = shape.layers, shape.width, shape.heads, shape.kv_heads, shape.head_width, shape.positions - 2, inner_width
    if min(sizes) < 1 or shape.heads % shape.kv_heads or shape.head_width % 2 or not shape.theta > 0:
        raise UsageError(f"'{path}/config.json' describes no network: {shape}")
    return shape, inner_width
