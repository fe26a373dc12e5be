"""A playground that the tests of a file share: a process of ``cgn playground``."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Playground:
    """A process of ``cgn playground``."""

    def __init__(self, *options: str) -> None:
        for package in ("starlette", "uvicorn", "jinja2"):
            pytest.importorskip(package)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "compgen", "playground", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w-]{32}/)", line)
        assert found, line + (self.process.communicate()[1] if self.process.poll() is not None else "")
        self.address, self.port, self.path = found[0], int(found[1]), found[2]

    @contextlib.contextmanager
    def asked(self, path: str, body: bytes) -> Iterator[http.client.HTTPResponse]:
        """Ask, give the answer, and hang up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"{self.path}api/{path}", body)
            with connection.getresponse() as answer:
                yield answer

    def told(self, path: str, body: bytes) -> Any:
        with self.asked(path, body) as answer:
            return json.load(answer)

    def seconds(self) -> float:
        """The process's time so far, of user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return the exit code, and what was said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def playground() -> Iterator[Playground]:
    one = Playground()
    yield one
    if one.process.poll() is None:
        one.end()
