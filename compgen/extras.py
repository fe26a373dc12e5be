"""Import optional packages, with an error that says how to install a missing one."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from compgen.errors import MissingExtraError


def need(module: str, extra: str, what: str) -> Any:
    """Import the module ``module`` and return it.

    Args:
        module: its dotted name.
        extra: the extra of compgen that installs it.
        what: what needs it, for the message, such as "reading pictures".

    Raises:
        MissingExtraError: the module, or a module that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, extra, what) from None


def check(module: str, extra: str, what: str) -> None:
    """Check without importing it that ``module`` is installed; arguments and errors as in ``need``."""
    if importlib.util.find_spec(module) is None:
        raise missing(module, extra, what)


def missing(module: str, extra: str, what: str) -> MissingExtraError:
    """Return the error that ``what`` needs ``module``, which the extra ``extra`` installs."""
    return MissingExtraError(f"{what} needs {_PACKAGES.get(module, module)}: {install(extra)}")


def install(extra: str) -> str:
    """Return what installs ``extra``, for messages."""
    command = f"pip install 'compgen[{extra}]'"
    return f"{command} ({_CPU_TORCH})" if extra in ("llm", "lm-eval") else command


def missing_extras() -> list[str]:
    """Return the extras that lack a package here. Nothing is imported."""
    return [extra for extra in EXTRAS if _missing_modules(extra)]


def lacking(extra: str, what: str) -> MissingExtraError:
    """Return the error that ``what`` needs ``extra``, of which a package is not installed."""
    return missing(_missing_modules(extra)[0], extra, what)


def _missing_modules(extra: str) -> list[str]:
    """Return the modules of ``extra`` that are not installed."""
    return [module for module in EXTRAS[extra][0] if importlib.util.find_spec(module) is None]


EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "fast": (("numba",), "loops compiled by numba: the same results, sooner"),
    "llm": (("accelerate", "torch", "transformers"), "language models, cgn train"),
    "gguf": (("accelerate", "gguf", "torch", "transformers"), "cgn convert: language models in llama.cpp's files"),
    "ppmd": (("pyppmd",), "the compressor ppmd"),
    "media": (("PIL", "scipy", "soundfile"), "pictures, sound, the compressor flac"),
    "imagecodecs": (("imagecodecs",), "the compressors jpegxl, jpegls and webp"),
    "gallery": (("PIL", "jinja2", "scipy", "soundfile"), "cgn gallery"),
    "playground": (("jinja2", "starlette", "uvicorn"), "cgn playground"),
    "evaluation": (("fsspec", "jinja2", "matplotlib", "scipy"), "figures, reports and distant data of cgn evaluate"),
    "numcodecs": (("numcodecs",), "the codec for arrays"),
    "lm-eval": (("lm_eval",), "any compressor in lm-evaluation-harness"),
    "ray": (("ray",), "cgn evaluate --engine ray"),
}
"""The modules that each extra of pyproject.toml installs, and what they are for."""

_CPU_TORCH = (
    "without a GPU, first pip install torch --index-url https://download.pytorch.org/whl/cpu, "
    "which spares gigabytes of CUDA"
)


_PACKAGES = {"PIL": "Pillow"}
"""The names of packages that differ from the names of their modules."""
