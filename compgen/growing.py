"""Objects with a context that grows: states of models and laws, and the meters of compressors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Never, Self


class Growing(ABC):
    """Something that grows byte by byte. ``fork`` copies it, and ``copy.copy`` and ``copy.deepcopy`` do as ``fork``.

    Its parts may be encoders of C libraries, buffers on a device, or views of one another. So it cannot be pickled.
    ``copy.copy`` calls ``fork``, so ``fork`` must not call ``copy.copy``: it begins with ``_sharing``, or makes a new
    object.
    """

    @abstractmethod
    def _copied(self) -> Growing:
        """Return an independent copy, by ``fork``.

        Raises:
            TypeError: there is no ``fork``.
        """

    def _sharing(self) -> Self:
        """Return an object whose attributes are those of this one; ``fork`` then copies those that change."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __copy__(self) -> Growing:
        return self._copied()

    def __deepcopy__(self, memo: dict[int, Any]) -> Growing:
        return self._copied()

    def __reduce__(self) -> Never:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: pickle what started it (the model, law or compressor) and the "
            "bytes so far, and start it again where they arrive"
        )
