"""A numcodecs codec, with which Zarr compresses arrays: ``{"id": "compgen", "model": "gzip"}``."""

from __future__ import annotations

from typing import Any

from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ndarray_copy

from compgen.coding.api import compress, decompress
from compgen.coding.trust import load_from_file


class CompgenCodec(Codec):  # type: ignore[misc]
    """Codes each chunk of an array as a .cgn file. The metadata of an array may name only built-in models."""

    codec_id = "compgen"

    def __init__(self, model: str = "gzip") -> None:
        """Take the spec of a model.

        Raises:
            IncompatibleError: the spec names a program, a plugin or a path.
        """
        self.model = str(load_from_file(model))

    def encode(self, buf: Any) -> bytes:
        """Return the bytes of ``buf`` in the .cgn format."""
        return compress(ensure_bytes(buf), self.model)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the bytes that were encoded, in ``out`` if it is given."""
        return ndarray_copy(decompress(ensure_bytes(buf)), out)
