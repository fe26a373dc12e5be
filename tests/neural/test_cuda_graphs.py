"""When a computation is run, captured and replayed, with a stand-in for CUDA; ``test_gpu.py`` uses a real GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compgen.neural.cuda_graphs import Graphs, _stream  # noqa: E402


class Cuda:
    """Records runs (c), captures (C) and replays (r), on the stream of captures (s) or on the default one (d)."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stream_now = "d"
        self.capturing = False
        self.mode: Any = 0

    def compute(self, slots: int) -> None:
        self.done.append(("C" if self.capturing else "c") + self.stream_now + str(slots))

    def compute_and_wait(self, slots: int) -> None:
        assert not self.capturing, "a wait cannot be captured"
        if self.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        self.compute(slots)

    @contextmanager
    def stream(self, name: Any) -> Iterator[None]:
        before, self.stream_now = self.stream_now, "s"
        yield
        self.stream_now = before

    @contextmanager
    def graph(self, fresh: Any, pool: object, stream: object) -> Iterator[None]:
        begin = len(self.done)
        self.stream_now, self.capturing = "s", True  # torch stays on this stream if the capture fails
        try:
            yield
        finally:
            self.capturing = False
        self.stream_now = "d"
        (fresh.held,) = self.done[begin:]

    def set_stream(self, stream: object) -> None:
        self.stream_now = "d"

    def set_mode(self, mode: Any) -> None:
        self.mode = mode


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    played = Cuda()
    streams = SimpleNamespace(wait_stream=lambda other: None)

    class CUDAGraph:
        held = ""

        def replay(self) -> None:
            played.done.append("r" + self.held[2:])

    for name, part in {
        "Stream": lambda device: streams,
        "current_stream": lambda: streams,
        "graph_pool_handle": object,
        "CUDAGraph": CUDAGraph,
        "graph": played.graph,
        "set_stream": played.set_stream,
        "stream": played.stream,
        "get_sync_debug_mode": lambda: played.mode,
        "set_sync_debug_mode": played.set_mode,
    }.items():
        monkeypatch.setattr(torch.cuda, name, part)
    _stream.cache_clear()
    yield played
    _stream.cache_clear()


def runs(graphs: Graphs, compute: Callable[[int], None], *slots: int) -> None:
    for number in slots:
        graphs.run(number, compute)


def test_a_third_run_is_captured_and_replayed(cuda: Cuda) -> None:
    """For each number of slots by itself, after two runs on the stream of captures."""
    runs(Graphs(torch.device("cuda")), cuda.compute, 64, 64, 128, 64, 64, 128, 128, 64)
    assert cuda.done == ["cs64", "cs64", "cs128", "Cs64", "r64", "r64", "cs128", "Cs128", "r128", "r64"]
    assert cuda.mode == 0


def test_what_waits_for_the_device_is_never_captured(cuda: Cuda) -> None:
    runs(Graphs(torch.device("cuda")), cuda.compute_and_wait, 64, 64, 64, 64)
    assert cuda.done == ["cs64", "cs64", "cd64", "cd64"]
    assert cuda.mode == 0, "the mode is as it was"


def test_what_cannot_be_captured_is_run_as_it_is(cuda: Cuda) -> None:
    def compute(slots: int) -> None:
        if cuda.capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        cuda.compute(slots)

    graphs = Graphs(torch.device("cuda"))
    with pytest.warns(RuntimeWarning, match="cannot be captured.*not permitted"):
        runs(graphs, compute, 64, 64, 64)
    runs(graphs, compute, 64)
    assert cuda.done == ["cs64", "cs64", "cd64", "cd64"]


def test_a_capture_that_fills_the_device_raises_out_of_memory(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although torch, which ends the capture, raises another error for it."""

    @contextmanager
    def graph(fresh: object, pool: object, stream: object) -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "graph", graph)

    def compute(slots: int) -> None:
        if len(cuda.done) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        cuda.compute(slots)

    with pytest.raises(torch.OutOfMemoryError):
        runs(Graphs(torch.device("cuda")), compute, 64, 64, 64)


def test_other_errors_are_raised(cuda: Cuda) -> None:
    def fail(slots: int) -> None:
        raise RuntimeError("an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal"):
        runs(Graphs(torch.device("cuda")), fail, 64)
    assert cuda.mode == 0


def test_on_a_cpu_nothing_is_captured(cuda: Cuda) -> None:
    runs(Graphs(torch.device("cpu")), cuda.compute, 64, 64, 64)
    assert cuda.done == ["cd64"] * 3
