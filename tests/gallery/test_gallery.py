"""Galleries: the site that is built, the cells that are kept, the configs that are refused."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from compgen.errors import UsageError
from compgen.media import recognise
from tests.conftest import Run

pytest.importorskip("jinja2")
pytest.importorskip("PIL")
soundfile = pytest.importorskip("soundfile")

from compgen.gallery.build import item  # noqa: E402
from compgen.gallery.config import GalleryRow, read_config  # noqa: E402
from compgen.gallery.material import MADE, spectrogram, waveform_path  # noqa: E402
from compgen.locks import alone_in  # noqa: E402

CONFIG = """
title = "A <b>small</b> gallery"
[[rows]]
name = "text & more"
file = "evil.txt"
keep = 0.5
[[rows]]
name = "tiles"
made = "tiles"
keep = 0.9
[[rows]]
name = "strings"
made = "plucked"
keep = 0.75
length = 400
[[columns]]
name = "counts"
compressor = "backoff:order=2"
[[columns]]
name = "gzip on pictures"
media = ["image"]
[explorer]
file = "evil.txt"
context = 100
length = 30
compressors = ["backoff:order=1", "uniform"]
"""
EVIL = b"<script>alert(1)</script>\x00\x1b[31m\x07 & \"quoted\" 'text'\n" * 8


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "evil.txt").write_bytes(EVIL)
    (tmp_path / "small.toml").write_text(CONFIG)
    return tmp_path / "small.toml"


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_is_an_item_and_always_the_same(name: str) -> None:
    made = MADE[name]()
    assert MADE[name]() == made
    data, medium = recognise(made).encode(made)
    assert len(data) > 1000
    assert (medium.name == "text") == (name == "prose")


def test_a_site_is_whole_and_resumes(cgn: Run, config: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    words = ("gallery", str(config), "-o", str(site), "--data", str(tmp_path), "--jobs", "1")
    done = cgn(*words)
    assert (done.returncode, done.stdout.decode().strip()) == (0, str(site / "index.html")), done.stderr
    pages = {name: (site / f"{name}.html").read_text() for name in ("index", "explorer")}
    assert re.findall(r'data-rule="(.*?)"', pages["index"]).count("decoder") == 1, "gzip's own rule where none is named"
    for page in pages.values():
        assert "<script>alert" not in page
        assert "A &lt;b&gt;small&lt;/b&gt; gallery" in page
        assert not re.search(r"(src|href)=\"(?!data:,)(\w+:|//)", page), "a page fetches from elsewhere"
        for name in re.findall(r"(?:src|href)=\"([^\":]+)\"", page):
            assert (site / name).is_file(), name
    kept = {path: path.stat().st_mtime_ns for path in (site / "cells").iterdir()}
    assert len(kept) == 4
    first = min(kept)
    cell = json.loads(first.read_text())
    first.write_text("not whole")
    assert cgn(*words).returncode == 0
    again = json.loads(first.read_text())
    assert (again["made"], again["model"]) == (cell["made"], cell["model"])
    assert {path for path, time in kept.items() if path.stat().st_mtime_ns != time} == {first}


def test_two_builds_do_not_write_to_one_folder(cgn: Run, config: Path, tmp_path: Path) -> None:
    words = ("gallery", str(config), "-o", str(tmp_path / "site"), "--data", str(tmp_path), "--jobs", "1")
    with alone_in(tmp_path / "site"):
        done = cgn(*words)
    assert done.returncode == 1
    assert b"site' is in use by process" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_the_explorers_figures_are_the_models(config: Path, tmp_path: Path) -> None:
    from compgen.evaluation.score import score
    from compgen.gallery.build import explore

    explorer = read_config(config).explorer
    assert explorer is not None
    told = explore(explorer, tmp_path)
    bits = [step["bits"] for step in told["compressors"][0]["steps"]]
    expected = score("backoff:order=1", EVIL[100:130], EVIL[:100]).surprisals
    assert np.allclose(bits, expected, atol=0.001)
    for step, byte in zip(told["compressors"][0]["steps"], told["bytes"], strict=True):
        if step["rank"] <= len(step["likely"]):
            assert step["likely"][step["rank"] - 1][0] == byte


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('made = "tiles"', 'made = "tails"'), "did you mean 'tiles'"),
        (('made = "tiles"', 'mad = "tiles"'), "did you mean"),
        (("keep = 0.9", "keep = 1.0"), "leaves nothing to make"),
        (("keep = 0.9", 'keep = "a"'), "must be a number"),
        (("evil.txt", "../../etc/passwd"), "there is no"),
        (("backoff:order=2", "backof"), "did you mean 'backoff'"),
        (("[[columns]]", "[[colums]]"), "needs [[columns]]"),
        (("title =", "title"), "is not TOML"),
    ],
)
def test_a_wrong_config_is_one_line(
    cgn: Run, config: Path, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    config.write_text(CONFIG.replace(*change))
    done = cgn("gallery", str(config), "-o", str(tmp_path / "site"), "--data", str(tmp_path), "--jobs", "1")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert words in done.stderr.decode()


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("gallery_*.toml")), ids=str)
def test_shipped_configs_are_right(path: Path) -> None:
    config = read_config(path)
    assert config.rows
    assert config.columns


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_config(tmp_path / "none.toml")


def test_pictures_of_sound() -> None:
    image = pytest.importorskip("PIL.Image")
    tone = np.sin(np.arange(8000) * 2 * np.pi * 1000 / 8000)
    shown = np.asarray(image.open(io.BytesIO(spectrogram(tone, 8000)))).astype(int).sum(axis=2)
    assert abs(int(shown.sum(axis=1).argmax()) - (128 - 32)) <= 1  # a quarter up from the bottom
    assert spectrogram(np.zeros(0), 8000)
    assert waveform_path(np.zeros(0)) == ""
    assert waveform_path(tone, width=4).count("M") == 4


@pytest.mark.parametrize(
    "file",
    [b"no gzip", gzip.compress(bytes(16 + 784 * 3)), gzip.compress(bytes(3100))[:-9]],
    ids=["no gzip", "three digits", "cut short"],  # gzip writes the time: bytes as names would differ between workers
)
def test_a_file_of_digits_that_is_none_is_said(file: bytes, tmp_path: Path) -> None:
    (tmp_path / "digits.gz").write_bytes(file)
    row = GalleryRow(name="digits", file="digits.gz", sheet=2)
    with pytest.raises(UsageError, match=r"'digits.gz' is no gzipped MNIST file of 4 digits or more"):
        item(row, tmp_path)
