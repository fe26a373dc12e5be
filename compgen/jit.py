"""When loops run compiled: one policy for all of them.

A loop here has two forms with equal results: one in NumPy or torch, its *fallback*, and one that numba compiles
(``pip install 'compgen[fast]'``). Importing numba and loading or compiling code takes longer than many tasks. So a
group of loops runs on its fallbacks until they have taken as many seconds as the compiled forms cost to begin with, and
compiled from then on. Whatever the length of the task, that takes at most twice as long as the better of the two
choices (the rule of renting and buying: Karlin et al. 1988, "Competitive snoopy caching"). Who knows how much work
is ahead says so (``work_ahead``), and nothing is lost on fallbacks. Without numba the fallbacks go on.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@functools.cache
def numba_is_installed() -> bool:
    """Return whether numba can be imported."""
    return importlib.util.find_spec("numba") is not None


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` compiled by numba, which keeps its code beside the function's file."""
    import numba

    compiled: Callable[..., Any] = numba.njit(cache=True)(function)
    return compiled


@functools.cache
def compiled_family(*modules: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions of ``modules`` by their names, compiled; they call one another in compiled form.

    The modules hold functions that numba can compile, and constants, under names that differ. numba keeps compiled code
    on disk for as long as a function's own file is unchanged. Here a digest of all the files is part of the name that
    the code is kept under, so that a change in one of them counts for all.
    """
    import numba

    digest = hashlib.sha256()
    names: dict[str, Any] = {}
    for module in modules:
        digest.update(inspect.getsource(module).encode())
        names |= vars(module)
    family = {
        name: FunctionType(value.__code__, names, name, value.__defaults__)
        for name, value in names.items()
        if isinstance(value, FunctionType) and value.__module__ in {module.__name__ for module in modules}
    }
    for function in family.values():
        function.__qualname__ += "_" + digest.hexdigest()[:16]
    compiled: dict[str, Callable[..., Any]] = {name: numba.njit(cache=True)(one) for name, one in family.items()}
    names |= compiled
    return compiled


_AHEAD: ContextVar[float] = ContextVar("seconds ahead", default=0.0)


@contextmanager
def work_ahead(seconds: float) -> Iterator[None]:
    """Let loops in the ``with`` block know that each group's fallbacks would take about so many seconds."""
    token = _AHEAD.set(seconds)
    try:
        yield
    finally:
        _AHEAD.reset(token)


class Loops:
    """A group of loops that switch from their fallbacks to compiled code together.

    Attributes:
        cost: seconds that importing numba and loading or compiling the group is expected to take.
        spent: seconds that the group's fallbacks have taken in this process.
    """

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.spent = 0.0

    @property
    def run_compiled(self) -> bool:
        """Whether calls now run compiled."""
        return self.spent + _AHEAD.get() >= self.cost and numba_is_installed()

    def wait_no_longer(self) -> None:
        """Run compiled from now on, in a process that is known to live long."""
        self.spent = max(self.spent, self.cost)

    @contextmanager
    def fallback(self) -> Iterator[None]:
        """Add the time that the ``with`` block takes to ``spent``, for a fallback that is not a ``loop``."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.spent += time.perf_counter() - begin

    def loop(self, fallback: Callable[P, T]) -> Callable[[Callable[..., Any]], Callable[P, T]]:
        """Decorate a function that numba can compile. Calls go to ``fallback`` first, later to the compiled function.

        Both take the same arguments, constants included: numba keeps compiled code until the function's own file
        changes, and would not notice a constant that changes in another file.
        """

        def decorate(function: Callable[..., Any]) -> Callable[P, T]:
            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                if self.run_compiled:
                    return _compiled(function)(*args, **kwargs)  # type: ignore[no-any-return]
                with self.fallback():
                    return fallback(*args, **kwargs)

            return call

        return decorate


SMALL = Loops(cost=0.5)
"""The small loops of the entropy coder, of derived models and of DEFLATE's law.

The cost is that of importing numba (0.2 s) and of loading the loops' compiled code from numba's cache (0.3 s): process
time on an AMD EPYC, 0.49 to 0.63 s, median 0.51 of five. Compiling takes 5 s, once for each version of the code. To
measure the cost, run this with COST 0, again with 0, and with 9e9; subtract the last run's user and system time from
the second's:

    time python -c "from compgen import compress, jit; jit.SMALL.cost = COST; compress(b'ab', 'gzip')"
"""
