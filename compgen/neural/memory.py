"""A device that runs out of memory, as an error of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from compgen.errors import OutOfMemoryError

# What a RuntimeError says when PyTorch, its CPU allocator or cuBLAS finds no memory.
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


@contextmanager
def room_for(rows: int) -> Iterator[None]:
    """Turn errors of a device without memory, raised in the block, into OutOfMemoryError.

    Args:
        rows: sequences that the block computes; 0 if it loads weights. The message depends on it.

    Raises:
        OutOfMemoryError: the block needs more memory than there is.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(rows) from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise _out_of_memory(rows) from error


def _out_of_memory(rows: int) -> OutOfMemoryError:
    if not rows:
        return OutOfMemoryError(
            "the weights do not fit the device's memory; use a smaller model, dtype or another device"
        )
    return OutOfMemoryError(f"{rows} rows do not fit the device's memory; use fewer lanes, or a shorter window")
