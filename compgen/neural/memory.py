"""What a device without room says, as an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from compgen.errors import OutOfMemoryError

_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


@contextmanager
def room_for(rows: int) -> Iterator[None]:
    """Raise OutOfMemoryError where what is done needs more memory than there is; without rows, it is for weights."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _full(rows) from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise _full(rows) from error


def _full(rows: int) -> OutOfMemoryError:
    if not rows:
        return OutOfMemoryError(
            "the weights do not fit the device's memory; use a smaller model, dtype or another device"
        )
    return OutOfMemoryError(f"{rows} rows do not fit the device's memory; use fewer lanes, or a shorter window")
