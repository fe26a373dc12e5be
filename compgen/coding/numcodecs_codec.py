"""A numcodecs codec, with which Zarr compresses arrays: ``{"id": "compgen", "model": "gzip"}``."""

from __future__ import annotations

from typing import Any

from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy
from numpy.typing import NDArray

from compgen.coding.api import compress, decompress
from compgen.coding.trust import load_from_file


class CompgenCodec(Codec):  # type: ignore[misc]
    """Codes each chunk of an array as a .cgn file. The metadata of an array may name only built-in models."""

    codec_id = "compgen"

    def __init__(self, model: str = "gzip") -> None:
        """Take the spec of a model.

        Raises:
            IncompatibleError: the spec names a program, a plugin or a path.
            LimitError: what it names takes too long to check, so that no chunk would be decoded.
        """
        self.model = str(load_from_file(model))

    def encode(self, buf: Any) -> bytes:
        """Return the memory of ``buf`` in the .cgn format: of a masked array the data, of Fortran order the columns.

        Raises:
            TypeError: ``buf`` has no buffer, or its memory holds pointers to objects.
            ValueError: its memory is not contiguous.
        """
        return compress(_memory(buf).tobytes(), self.model)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the bytes that were encoded, in ``out`` if it is given.

        Raises:
            CompgenError: ``buf`` is damaged, or its model behaves otherwise here.
            TypeError: ``buf`` or ``out`` has no buffer, or its memory holds pointers to objects.
            ValueError: ``out`` has another size, may not be written, or its memory is not contiguous.
        """
        target = None if out is None else _memory(out)
        return ndarray_copy(decompress(_memory(buf).tobytes()), target)


def _memory(buf: Any) -> NDArray[Any]:
    """Return the memory of ``buf`` as a flat array, not copied; errors as in ``encode``.

    NumPy's own ``tobytes`` would put fill values in the place of masked elements.
    """
    array: NDArray[Any] = ensure_contiguous_ndarray(buf)
    if array.dtype.hasobject:  # numcodecs looks for this at the top level of a dtype only, not in its fields
        raise TypeError(f"arrays of {array.dtype} are not supported: their memory holds pointers to objects")
    return array
