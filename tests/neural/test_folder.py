"""Digests of a model's folder: what counts, what does not, and when they are computed anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from compgen import cache
from compgen.neural import folder
from compgen.neural.tokens.tables import Tables
from compgen.neural.tokens.tokeniser import Tokeniser
from tests.neural import tiny


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPGEN_CACHE", str(tmp_path / "cache"))
    return tiny.make("llama", tmp_path / "m")


def changed(file: Path, change: Callable[[Any], Any]) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text())), indent=3))


def test_notes_and_idle_entries_do_not_count(model: Path) -> None:
    before = folder.digest(str(model))
    (model / "notes.txt").write_text("my model")
    (model / "generation_config.json").write_text('{"temperature": 0.7}')
    (model / "README.md").write_text("# mine")
    changed(model / "config.json", lambda config: config | {"transformers_version": "9", "dtype": "bfloat16"})
    changed(model / "tokenizer.json", lambda layout: dict(reversed(layout.items())))
    changed(model / "tokenizer_config.json", lambda config: config | {"chat_template": "x", "model_max_length": 7})
    assert folder.digest(str(model)) == before


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", lambda config: config | {"rms_norm_eps": 1e-3}),
        ("config.json", lambda config: config | {"an_entry_of_the_future": 1}),
        ("tokenizer_config.json", lambda config: config | {"bos_token": "</s>"}),
        ("tokenizer.json", lambda layout: layout | {"normalizer": None, "added_tokens": []}),
    ],
    ids=["rms_norm_eps", "unknown", "bos_token", "tokenizer.json"],
)
def test_what_changes_the_arithmetic_counts(model: Path, file: str, change: Callable[[Any], Any]) -> None:
    before = folder.digest(str(model))
    changed(model / file, change)
    assert folder.digest(str(model)) != before


def test_digests_are_kept_until_a_file_changes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    compute = folder._digest_of

    def digest_of(file: Path) -> bytes:
        read.append(file.name)
        return compute(file)

    monkeypatch.setattr(folder, "_digest_of", digest_of)
    monkeypatch.setattr(folder, "_SETTLED", -(10**12))  # the time of a change of status cannot be set back
    before = folder.digest(str(model))
    assert "model.safetensors" in read
    read.clear()
    assert folder.digest(str(model)) == before
    assert not read
    weights = model / "model.safetensors"
    status, content = weights.stat(), bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time of writing, same inode
    after = folder.digest(str(model))
    assert after != before
    assert "model.safetensors" in read
    cache.keep(next(Path(os.environ["COMPGEN_CACHE"]).glob("digests-*")).name, b'{"format": 1, "status": 5}')
    assert folder.digest(str(model)) == after


def test_digests_of_fresh_files_are_not_kept(model: Path) -> None:
    """A second change in the same tick of the clock would leave size and times as they are."""
    folder.digest(str(model))
    assert not list(Path(os.environ["COMPGEN_CACHE"]).glob("digests-*"))


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_a_tokeniser_from_the_cache_is_the_same(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPGEN_CACHE", str(tmp_path / "cache"))
    path = str(tiny.make(kind, tmp_path / "m"))
    first = Tokeniser.load(path)
    monkeypatch.setattr(Tables, "of", lambda *_: pytest.fail("it was made again"))
    second = Tokeniser.load(path)
    for name in ("ids", "sizes", "buffer", "places"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for name in ("longest", "missing", "start_token", "end_tokens", "lead", "_cut_before_space", "_byte_level"):
        assert getattr(first, name) == getattr(second, name)
    for data in (tiny.PROSE.read_bytes()[:300], "é中 \xff<s>".encode(), b"\x80\xff  a"):
        assert first.encode(data) == second.encode(data)
        assert first.encode_text(data) == second.encode_text(data)
        assert first.candidates(data[:20]) == second.candidates(data[:20])
