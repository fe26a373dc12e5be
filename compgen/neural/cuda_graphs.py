"""Decoding steps on a GPU: the search for the symbols at given points, and CUDA graphs that replay a step.

A CUDA graph records the operations of a computation once and launches them together from then on.
``torch.cuda.make_graphed_callables`` does not serve here: it captures a computation before its first use, after three
more runs, on a new stream for each, for which libraries keep memory, and it fails for a network that waits for the
device at each step, where this module goes on without a graph.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor


def located(ends: Tensor, points: Tensor) -> Tensor:
    """Return (3, N) int64: the symbols at N points, and the low and frequency of each.

    Args:
        ends: (N, n) where the intervals of n symbols end, ascending in each row.
        points: (N,) integers below the last end of their row.
    """
    columns = torch.searchsorted(ends, points[:, None].to(ends.dtype), right=True)
    return torch.stack((columns[:, 0], *intervals(ends, columns)))


def intervals(ends: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return (low, frequency), (N,) int64 each, of (N, 1) symbols whose intervals end at (N, n) ``ends``."""
    high = ends.gather(1, columns).long()
    low = torch.where(columns > 0, ends.gather(1, (columns - 1).clamp(min=0)).long(), 0)
    return low[:, 0], (high - low)[:, 0]


class Graphs:
    """A computation over tensors that keep their addresses, with a graph for each number of cache slots.

    On a GPU, the third run for a number of slots is captured, and from then on replayed. On a CPU nothing is captured.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._runs: dict[int, int] = {}
        self._graphs: dict[int, torch.cuda.CUDAGraph | None] = {}
        if self._cuda:
            self._stream = _stream(device)
            self._pool = torch.cuda.graph_pool_handle()  # one for all, since they run one after another

    def run(self, slots: int, compute: Callable[[int], None]) -> None:
        """Run ``compute(slots)``, or replay its graph.

        Args:
            slots: of the cache that the computation reads.
            compute: must do the same at each call. It is not kept: its owner holds this object, and a reference back
                would keep both, and the graphs' memory, alive until the next garbage collection.
        """
        if not self._cuda:
            compute(slots)
            return
        runs = self._runs[slots] = self._runs.get(slots, 0) + 1
        if runs < 3:  # before a capture, libraries choose algorithms and allocate memory
            self._run_on_stream(slots, compute, watched=runs == 2)
            return
        if slots not in self._graphs:
            self._graphs[slots] = self._capture(slots, compute)
        graph = self._graphs[slots]
        if graph is None:
            compute(slots)
        else:
            graph.replay()

    def _capture(self, slots: int, compute: Callable[[int], None]) -> torch.cuda.CUDAGraph | None:
        """Capture a computation, which does not run it, and return the graph; None, with a warning, if that fails."""
        fresh, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(fresh, pool=self._pool, stream=self._stream):
                compute(slots)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # Out of memory, the capture ends with another error, which hides the first.
            if isinstance(error.__context__, torch.OutOfMemoryError):
                raise error.__context__ from None
            warnings.warn(
                f"a step of this network cannot be captured as a CUDA graph, so each takes longer: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        finally:
            torch.cuda.set_stream(before)  # after a failed capture, torch would stay on the stream of captures
        return fresh

    def _run_on_stream(self, slots: int, compute: Callable[[int], None], *, watched: bool) -> None:
        """Run on the stream of captures. If ``watched``, note a computation in which the host waits for the device."""
        self._stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self._stream):
                if watched and _waits(slots, compute):
                    self._graphs[slots] = None  # such a computation cannot be captured
                if not watched or slots in self._graphs:
                    compute(slots)
        finally:
            torch.cuda.current_stream().wait_stream(self._stream)


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of captures. There is one for all, because libraries keep memory for each stream they see."""
    return torch.cuda.Stream(device)


def _waits(slots: int, compute: Callable[[int], None]) -> bool:
    """Run until the host waits for the device, or to the end; return whether the host waits."""
    mode = torch.cuda.get_sync_debug_mode()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Synchronization debug mode")  # torch warns that it is a prototype
            torch.cuda.set_sync_debug_mode("error")
        compute(slots)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if "synchronizing" not in str(error):
            raise
        return True
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    return False
