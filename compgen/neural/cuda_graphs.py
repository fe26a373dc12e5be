"""What a step of decoding is made of where distributions stay on a device: a search, and a captured graph."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor


def located(ends: Tensor, points: Tensor) -> Tensor:
    """Return (3, N): the columns of (N, n) ``ends`` whose intervals hold ``points``, (N,); where they begin; widths."""
    columns = torch.searchsorted(ends, points[:, None].to(ends.dtype), right=True)
    return torch.stack((columns[:, 0], *intervals(ends, columns)))


def intervals(ends: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return low and width, (N,) int64 each, of (N, 1) columns of intervals that end at (N, n) ``ends``."""
    high = ends.gather(1, columns).long()
    low = torch.where(columns > 0, ends.gather(1, (columns - 1).clamp(min=0)).long(), 0)
    return low[:, 0], (high - low)[:, 0]


class Graphs:
    """A computation over tensors that stay where they are: on a GPU, captured at its third run and then replayed.

    It depends on a number of slots, and there is a graph for each. On a CPU it is just run.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._runs: dict[int, int] = {}
        self._graphs: dict[int, torch.cuda.CUDAGraph | None] = {}
        if self._cuda:
            self._stream = _stream(device)
            self._pool = torch.cuda.graph_pool_handle()  # one for all, since they run one after another

    def run(self, slots: int, compute: Callable[[int], None]) -> None:
        """Compute for ``slots`` slots, by ``compute``, which must be the same at each call.

        It is not kept: what holds the graphs would never be let go of.
        """
        if not self._cuda:
            compute(slots)
            return
        runs = self._runs[slots] = self._runs.get(slots, 0) + 1
        if runs < 3:  # libraries choose and allocate before a capture
            self._aside(slots, compute, watched=runs == 2)
            return
        if slots not in self._graphs:
            self._graphs[slots] = self._captured(slots, compute)
        graph = self._graphs[slots]
        if graph is None:
            compute(slots)
        else:
            graph.replay()

    def _captured(self, slots: int, compute: Callable[[int], None]) -> torch.cuda.CUDAGraph | None:
        """Return the graph of a computation, which is not done yet; none, with a warning, if it cannot be captured."""
        fresh, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(fresh, pool=self._pool, stream=self._stream):
                compute(slots)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if isinstance(error.__context__, torch.OutOfMemoryError):  # which ended the capture, and that another error
                raise error.__context__ from None
            warnings.warn(f"a step cannot be captured, and takes longer: {error}", RuntimeWarning, stacklevel=2)
            return None
        finally:
            torch.cuda.set_stream(before)  # where a capture fails, torch stays on its stream
        return fresh

    def _aside(self, slots: int, compute: Callable[[int], None], *, watched: bool) -> None:
        """Compute on the stream of captures; if ``watched``, find out whether the host waits for the device in it."""
        self._stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self._stream):
                if watched and _waits(slots, compute):
                    self._graphs[slots] = None  # what asks the device something at each step cannot be captured
                if not watched or slots in self._graphs:
                    compute(slots)
        finally:
            torch.cuda.current_stream().wait_stream(self._stream)


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of captures, one for all: libraries keep memory for each stream that they have seen."""
    return torch.cuda.Stream(device)


def _waits(slots: int, compute: Callable[[int], None]) -> bool:
    """Compute, up to the first wait if there is one; return whether there is."""
    mode = torch.cuda.get_sync_debug_mode()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Synchronization debug mode")  # it is a prototype, it says
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
