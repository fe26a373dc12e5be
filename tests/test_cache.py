"""The user's cache: for speed alone, whatever happens to its files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from compgen import cache


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPGEN_CACHE", str(tmp_path / "a/b"))
    return tmp_path / "a/b"


def test_what_was_stored_comes_back_and_what_is_damaged_does_not(place: Path) -> None:
    assert cache.recall("x") is None
    cache.keep("x", b"one")
    cache.keep("x", b"two")
    assert cache.recall("x") == b"two"
    assert place.stat().st_mode & 0o777 == 0o700
    for content in (b"", b"short", (place / "x").read_bytes()[:-1], (place / "x").read_bytes() + b"!"):
        (place / "x").write_bytes(content)
        assert cache.recall("x") is None


def test_a_folder_that_cannot_be_written_is_no_error(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"a file where the folder should be")
    cache.keep("x", b"one")
    assert cache.recall("x") is None


def test_the_oldest_files_go(place: Path) -> None:
    for number in range(cache._MOST + 3):
        cache.keep(str(number), b"")
        os.utime(place / str(number), ns=(number, number))
    cache.keep("last", b"")
    left = {file.name for file in place.iterdir()}
    assert len(left) == cache._MOST
    assert {"0", "1", "2"}.isdisjoint(left)
    assert "last" in left


def test_writers_side_by_side_leave_one_whole_file() -> None:
    contents = [bytes([i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=cache.keep, args=("x", content)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert cache.recall("x") in (None, *contents)
    assert cache.recall("x") in contents


def test_it_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/compgen")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache.folder() == Path("/home/me/.cache/compgen")
