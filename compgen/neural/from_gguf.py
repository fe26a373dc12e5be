"""Convert a language model from GGUF, the file format of llama.cpp, to a folder in Hugging Face's layout.

transformers reads GGUF files with the package gguf. It turns quantised weights into floats each time that a file is
loaded, and builds the tokeniser anew; for Gemma 3 270M that takes over half a minute. So a file is converted once.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from compgen.errors import UsageError
from compgen.neural.folder import reason
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import quiet

_LAST = "config.json"
"""The file that is moved into the folder last: a folder without it is no model."""


def convert(source: Path, folder: Path) -> None:
    """Write the model and the tokeniser in the GGUF file ``source`` to ``folder``, which is made if need be.

    Weights are saved in bfloat16: what a quantised file says fits in its 8 bits, and folders take half the space.

    Raises:
        UsageError: the file cannot be read as a model, or the folder cannot be written.
        OutOfMemoryError: the weights do not fit in memory.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The folder stays as it was until all is written. transformers sees the file alone, without its neighbours.
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".converted-") as made,
            tempfile.TemporaryDirectory() as alone,
        ):
            Path(alone, "model.gguf").symlink_to(source.resolve())
            _write(alone, made, source)
            mode = Path(made, _LAST).stat().st_mode
            for file in sorted(Path(made).iterdir(), key=lambda file: file.name == _LAST):
                file.chmod(mode)  # safetensors lets the user alone read weights
                file.replace(folder / file.name)
    except OSError as error:
        raise UsageError(f"'{source}' cannot be converted to '{folder}': {reason(error)}") from error
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it holds the model
                folder.rmdir()


def _write(alone: str, made: str, source: Path) -> None:
    """Write the model of ``alone``/model.gguf to the folder ``made``; ``source`` is its name in errors."""
    # transformers shows a bar of its own, which is for terminals.
    shown = contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(io.StringIO())
    with quiet(), shown, room_for(0):
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(alone, gguf_file="model.gguf", dtype=torch.bfloat16)
            tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file="model.gguf")
        except (MemoryError, RuntimeError, OSError):
            raise  # ``room_for`` tells a lack of memory from other errors
        except Exception as error:  # a damaged file, or an architecture that transformers does not know, fails anywhere
            said = reason(error).replace(str(Path(alone, "model.gguf")), "it")
            raise UsageError(
                f"'{source}' is no language model that can be converted, or is cut short: {said}"
            ) from error
        # The weights are plain floats now. transformers would refuse to save what it thinks is quantised.
        model.hf_quantizer, model.is_quantized = None, False
        for name in ("quantization_config", "_pre_quantization_dtype"):
            if hasattr(model.config, name):
                delattr(model.config, name)
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
