"""compgen as a numcodecs codec, so that Zarr arrays can use it: ``{"id": "compgen", "model": "gzip"}``."""

from __future__ import annotations

from typing import Any

from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ndarray_copy

from compgen.coding.api import compress, decompress
from compgen.coding.trust import load_from_file


class CompgenCodec(Codec):  # type: ignore[misc]
    """Chunks in the .cgn format. Array metadata is a file like any other: it may name built-in models alone."""

    codec_id = "compgen"

    def __init__(self, model: str = "gzip") -> None:
        """Take a spec; raises IncompatibleError for programs, plugins and paths."""
        self.model = str(load_from_file(model))

    def encode(self, buf: Any) -> bytes:
        """Return the bytes of ``buf``, compressed."""
        return compress(ensure_bytes(buf), self.model)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return what was encoded, in ``out`` where that is given."""
        return ndarray_copy(decompress(ensure_bytes(buf)), out)
