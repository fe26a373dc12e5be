"""Open states: extended as text is typed, and the same as fresh ones."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("starlette")

from compgen.errors import LimitError
from compgen.media.layout import Layout
from compgen.models import load
from compgen.playground.desk import STEP, Desk, begin_of
from compgen.playground.offered import model


@pytest.mark.parametrize("spec", ["gzip", "gzip:rule=calibrated", "gzip+history"])
def test_a_reading_is_a_function_of_its_text(prose: bytes, spec: str) -> None:
    typed, chosen = Desk(), model(spec, Layout())
    for end in range(STEP - 3, STEP + 4):
        found = typed.after(chosen, prose[:end]).state.frequencies()
        fresh = Desk().after(chosen, prose[:end]).state.frequencies()
        assert np.array_equal(found, fresh)


def test_surprisals_are_one_for_each_byte(prose: bytes) -> None:
    desk, chosen = Desk(), model("gzip", Layout())
    for end in (0, 1, 30, STEP, 3 * STEP + 7):
        reading = desk.surprisals(chosen, prose[:end])
        assert reading.begin == begin_of(prose[:end])
        assert len(reading.bits) == end - reading.begin
    state = load("gzip").start([prose[: reading.begin]])
    _, widths = state.consume(np.frombuffer(prose[reading.begin : end], dtype=np.uint8)[:, None])
    assert np.allclose(reading.bits, 24 - np.log2(widths[:, 0]))


def test_a_keystroke_starts_nothing_anew(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, chosen = Desk(), model("gzip", Layout())
    desk.after(chosen, prose[:3000])
    monkeypatch.setattr(type(chosen), "start", lambda *arguments: pytest.fail("a start"))
    for end in range(3001, 3020):
        desk.after(chosen, prose[:end])
    desk.after(chosen, prose[:3010])  # the way back is kept, too


def test_memory_has_an_end(prose: bytes) -> None:
    chosen = model("gzip", Layout())
    size = chosen.memory(1, 100)
    desk = Desk(memory=4 * size)
    for end in range(100, 120):
        desk.after(chosen, prose[:end])
    assert len(desk._kept) <= 4
    assert desk._taken <= 4 * size


def test_a_reading_that_takes_too_long_ends(prose: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compgen.playground.desk.READING", -1.0)
    with pytest.raises(LimitError, match="faster compressor"):
        Desk().surprisals(model("gzip", Layout()), prose)
    Desk().after(model("gzip", Layout()), prose)  # what needs no reading goes on


def test_threads_may_share_it(prose: bytes) -> None:
    desk, chosen = Desk(), model("gzip", Layout())
    expected = {end: Desk().after(chosen, prose[:end]).state.frequencies().tobytes() for end in range(600, 640)}
    wrong = []

    def read(first: int) -> None:
        for end in range(600 + first, 640):
            if desk.after(chosen, prose[:end]).state.frequencies().tobytes() != expected[end]:
                wrong.append(end)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
