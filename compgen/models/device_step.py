"""What a step of decoding is made of where distributions stay on a device: a search, and a captured graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def located(ends: Tensor, points: Tensor) -> Tensor:
    """Return (3, N): the columns of (N, n) ``ends`` whose intervals hold ``points``, (N,); where they begin; widths."""
    columns = torch.searchsorted(ends, points[:, None], right=True)
    return torch.stack((columns[:, 0], *intervals(ends, columns)))


def intervals(ends: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return low and width, (N,) each, of (N, 1) columns of intervals that end at (N, n) ``ends``."""
    high = ends.gather(1, columns)
    low = torch.where(columns > 0, ends.gather(1, (columns - 1).clamp(min=0)), 0)
    return low[:, 0], (high - low)[:, 0]


class Graphs:
    """A computation over tensors that stay where they are: on a GPU, captured at its third run and then replayed.

    It depends on a number of slots, and there is a graph for each. On a CPU it is just run.
    """

    def __init__(self, compute: Callable[[int], None], device: torch.device) -> None:
        self._compute = compute
        self._cuda = device.type == "cuda"
        self._runs: dict[int, int] = {}
        self._graphs: dict[int, torch.cuda.CUDAGraph | None] = {}

    def run(self, slots: int) -> None:
        """Compute, for ``slots`` slots."""
        if not self._cuda:
            self._compute(slots)
            return
        runs = self._runs[slots] = self._runs.get(slots, 0) + 1
        if runs < 3:  # libraries choose and allocate before a capture
            self._aside(slots, alone=runs == 2)
            return
        if slots not in self._graphs:
            fresh = torch.cuda.CUDAGraph()
            with torch.cuda.graph(fresh):
                self._compute(slots)
            self._graphs[slots] = fresh
        graph = self._graphs[slots]
        if graph is None:
            self._compute(slots)
        else:
            graph.replay()

    def _aside(self, slots: int, *, alone: bool) -> None:
        """Compute on a stream of its own, as a capture does; if ``alone``, find out whether the host has to wait."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            if alone:
                torch.cuda.set_sync_debug_mode("error")
            try:
                self._compute(slots)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                if not alone or "synchronizing" not in str(error):
                    raise
                self._graphs[slots] = None  # a model that asks the device something at each step cannot be captured
                torch.cuda.set_sync_debug_mode("default")
                self._compute(slots)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        torch.cuda.current_stream().wait_stream(stream)
