"""The playground as a process: where it listens, ten clients, streams that nobody reads, and its end."""

from __future__ import annotations

import contextlib
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

import pytest

from tests.playground.conftest import Playground

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("jinja2")

CLIENTS, KEYS = 10, 8


def test_it_listens_to_this_machine_alone(playground: Playground) -> None:
    with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
        socket.create_connection((_own_address(), playground.port), timeout=2).close()


def _own_address() -> str:
    """An address of this machine that is not 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.2"


def test_ten_clients_are_answered_while_continuations_are_drawn(playground: Playground, prose: bytes) -> None:
    playground.told("next?spec=gzip", prose[:3000])
    waits: list[float] = []

    def type_on(client: int) -> None:
        for end in range(2000, 2000 + KEYS):
            begin = time.perf_counter()
            answer = playground.told("next?spec=gzip", bytes([65 + client]) + prose[:end])
            assert sum(answer["frequencies"]) == 1 << 24
            waits.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=type_on, args=(client,)) for client in range(CLIENTS)]
    with contextlib.ExitStack() as streams:
        for _ in range(3):
            stream = playground.asked("sample?spec=gzip:rule=one-step&length=4096", prose[:2000])
            streams.enter_context(stream).readline()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{CLIENTS} clients: median {1000 * statistics.median(waits):.0f} ms, longest {1000 * max(waits):.0f} ms")
    assert len(waits) == CLIENTS * KEYS
    assert statistics.median(waits) < 2  # seconds; a busy machine of two cores answers in a tenth of that


def test_a_stream_that_nobody_reads_stops(playground: Playground, prose: bytes) -> None:
    with playground.asked("sample?spec=gzip:rule=one-step&length=4096", prose) as answer:
        assert answer.status == 200
        answer.readline()
    time.sleep(1.5)
    before = playground.seconds()
    time.sleep(1)
    assert playground.seconds() - before < 0.3  # one that went on would take all of the second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_one_line(prose: bytes, number: int) -> None:
    one = Playground()
    with one.asked("sample?spec=gzip:rule=one-step&length=4096", prose) as answer:
        answer.readline()
        begin = time.perf_counter()
        code, said = one.end(number)
    assert (code, said) == (128 + number, "cgn: interrupted\n")
    assert time.perf_counter() - begin < 10


def test_a_port_that_is_taken_is_said(playground: Playground) -> None:
    words = [sys.executable, "-m", "compgen", "playground", "--port", str(playground.port)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cgn: port {playground.port} cannot be used")
    assert done.stderr.count("\n") == 1
