"""Language models: the one inside the package, one trained with ``cgn train``, any causal model of Hugging Face's.

A folder whose network speaks bytes is computed by ``exact_llama.py``: its files decode on every machine. All others are
computed in floating point by transformers, through their tokeniser (``token_lm.py``), and their files decode where the
same floats come out. ``COMPGEN_DEVICE`` says where to compute: ``cpu``, the default, or ``cuda``.
"""

from __future__ import annotations

import functools
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
from compgen.models.base import ByteModel, State

if TYPE_CHECKING:
    from compgen.models.exact_llama import ExactLlama

_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]
_SYMBOLS = 257
_LANE = 8192  # bytes of a file for each lane: a lane begins with nothing known, which costs about 25 bytes


@dataclass(frozen=True)
class LanguageModel(ByteModel):
    """A causal language model as a next-byte distribution.

    ``path`` is a folder in Hugging Face's layout (config.json, safetensors) or the name of one on its hub; without one,
    the weights inside the package. ``window`` is N: a row looks back N to 2N bytes; 0 stands for half of what the
    network was trained on.
    """

    path: str = field(default="", metadata={"argument": True})
    window: int = 0

    name: ClassVar[str] = "llm"

    def __post_init__(self) -> None:
        for module in ("torch", "transformers"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(f"model 'llm' needs {module}: pip install 'compgen[llm]'")
        if self.window < 0:
            raise UsageError(f"window must be a number of bytes, or 0 for half the network's own, not {self.window}")

    @property
    def versions(self) -> str:
        """Return nothing: what an exact network gives depends on no library."""
        return ""

    def behaviour(self, probe: bytes) -> bytes:
        """Return the digest of the network's integers."""
        return self._network().digest

    def lanes(self, size: int) -> int:
        """Return one lane for every 8 KB, as many as keep the device busy at most."""
        return max(1, min(2048 if device() == "cuda" else 64, size // _LANE))

    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state after ``prompts``."""
        from compgen.models.byte_lm import ByteLanguageState

        network = self._network()
        longest = (network.shape.positions - 1) // 2
        if self.window > longest:
            raise UsageError(f"window must be at most {longest} for this network, not {self.window}")
        return ByteLanguageState.start(network, self.window or longest, prompts)

    @property
    def parameters(self) -> int:
        """Numbers in all tensors of the file.

        Raises:
            UsageError: there is no such file.
        """
        from safetensors import SafetensorError, safe_open

        weights = _weights(folder(self.path))
        try:
            with safe_open(weights, "numpy") as tensors:
                return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UsageError(f"'{weights}' cannot be read: {error}") from None

    @property
    def shipped(self) -> int:
        """Bytes of the file of weights."""
        return _weights(folder(self.path)).stat().st_size

    def _network(self) -> ExactLlama:
        return _loaded(str(folder(self.path)), device())


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
        return Path(str(importlib.resources.files("compgen.models").joinpath("weights")))
    if Path(path).is_dir():
        return Path(path)
    if Path(path).exists():
        raise UsageError(f"'{path}' is a file; name the folder that holds config.json and model.safetensors")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=_FILES))
    except Exception as error:  # whatever the hub's client, the network or the name brings
        raise UsageError(
            f"'{path}' is no folder here, and the hub did not give it: {str(error).splitlines()[0]}"
        ) from None


@functools.lru_cache(maxsize=4)
def _loaded(path: str, place: str) -> ExactLlama:
    """Return the network of a folder."""
    # Threads that wait for work by spinning starve whatever else runs on their cores, themselves included.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from compgen.models.exact_llama import ExactLlama

    config = read_config(Path(path))
    weights = _weights(Path(path))
    try:
        tensors = load_file(weights)
        return ExactLlama(_shape(config, path), lambda name: tensors[name].double().numpy(), place)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{weights}' cannot be read: {error}") from None
    except KeyError as error:
        raise UsageError(f"'{weights}' lacks the tensor {error}; is it of this config.json?") from None


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


def _shape(config: dict[str, Any], path: str) -> Any:
    from compgen.models.exact_llama import Shape

    if not speaks_bytes(config):
        raise UsageError(f"'{path}' is no byte-level model of the Llama type (257 symbols)")
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    plain = (
        config.get("hidden_act", "silu") == "silu"
        and not config.get("attention_bias")
        and not config.get("mlp_bias")
        and rope.get("rope_type", "default") == "default"
    )
    if not plain:
        raise UsageError(f"'{path}' has biases, scaled rotations or another activation, which are not supported")
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_width=int(config.get("head_dim") or config["hidden_size"] // heads),
            theta=float(rope["rope_theta"]),
            positions=int(config["max_position_embeddings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"'{path}/config.json' does not describe a Llama-type network: {error!r}") from None
