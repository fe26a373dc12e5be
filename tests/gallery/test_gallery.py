"""Galleries: the site that is built, the cells that are kept, the configs that are refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import compgen
from compgen.errors import UsageError
from compgen.media import recognise
from tests.conftest import Run

pytest.importorskip("jinja2")
pytest.importorskip("PIL")
soundfile = pytest.importorskip("soundfile")

from compgen.gallery.config import GalleryRow, read_config  # noqa: E402
from compgen.gallery.material import MADE  # noqa: E402
from compgen.gallery.prompts import item  # noqa: E402
from compgen.gallery.sound import loudest, spectrogram, waveform_path  # noqa: E402
from compgen.locks import alone_in  # noqa: E402
from compgen.media.listening import level, levelled  # noqa: E402

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
RICH = """
title = "Everything at once"
[[rows]]
name = "Log"
made = "prose"
start = 2500
keep = 0.9
length = 60
[[rows]]
name = "Tiles"
made = "tiles"
keep = 0.9
[[rows]]
name = "Rows"
made = "tiles"
crop = [0, 0, 48, 12]
by_row = true
[[rows]]
name = "Strings"
made = "plucked"
medium = "audio:coding=linear,rate=4000"
keep = 0.75
length = 300
[[columns]]
name = "gzip"
[[columns]]
name = "counts"
compressor = "backoff:order=2"
[[columns]]
name = "null"
compressor = "null"
[[columns]]
name = "gzip, calibrated"
rule = "calibrated"
[explorer]
made = "prose"
context = 400
length = 20
compressors = ["backoff:order=2", "null"]
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
        for address in re.findall(r"(?:src|href)=\"([^\":]+)\"", page):
            name, _, place = address.partition("#")
            assert not name or (site / name).is_file(), address
            assert not place or f'id="{place}"' in ((site / name).read_text() if name else page), address
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
    from compgen.gallery.compare import explore

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
        (("title =", 'first = "tails"\ntitle ='), "first = 'tails' is the name of no row"),
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


def test_the_pages_are_there_before_the_first_cell(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build once showed nothing until its last cell was drawn."""
    from compgen.gallery import cells, page

    seen: list[tuple[str, int]] = []

    def look(path: Path) -> None:
        text = path.read_text()
        seen.append((text, text.count("being drawn")))

    drawn = cells.draw_all

    def one_by_one(*arguments: object) -> object:
        for where, cell in drawn(*arguments):  # type: ignore[arg-type]
            yield where, cell
            look(tmp_path / "site/index.html")

    monkeypatch.setattr(page, "draw_all", one_by_one)
    monkeypatch.setattr(page, "_EVERY", 0.0)
    page.build(read_config(config), tmp_path / "site", tmp_path, 1, lambda made: None, ready=look)
    assert [waiting for _, waiting in seen[:2]] == [5, 3], (
        "four cells wait; that of text waits on the first screen, too"
    )
    assert [waiting for _, waiting in seen] == sorted((waiting for _, waiting in seen), reverse=True)
    assert "This gallery is being built: <b>0</b> of 4" in seen[0][0]
    last = (tmp_path / "site/index.html").read_text()
    assert "being drawn" not in last
    assert "being built" not in last
    assert (tmp_path / "site/progress.js").read_text() == "progress(4, 4);\n"


def test_progress_is_told_within_a_cell(tmp_path: Path) -> None:
    from compgen.gallery.cells import _watched

    told: list[int] = []
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    with _watched(1000, paths, [50, 70], told.append):
        (tmp_path / "a.part").write_text("20")
        end = time.monotonic() + 5
        while 1020 not in told and time.monotonic() < end:
            time.sleep(0.02)
        paths[0].write_text("{}")
        (tmp_path / "b.part").write_text("")  # just being written
        while 1050 not in told and time.monotonic() < end:
            time.sleep(0.02)
    assert told[-1] == 1120
    assert {1020, 1050} <= set(told)


def test_links_to_a_site_show_a_card(config: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from compgen.gallery.page import build

    config.write_text(
        'url = "https://example.org/dreams"\n'
        + CONFIG.replace("[explorer]", "[[columns]]\nname='null'\ncompressor='null'\n[explorer]")
    )
    site = build(read_config(config), tmp_path / "site", tmp_path, 1, lambda made: None).parent
    text = (site / "index.html").read_text()
    assert '<meta property="og:image" content="https://example.org/dreams/card.png">' in text
    assert '<meta property="og:title" content="A &lt;b&gt;small&lt;/b&gt; gallery">' in text
    card = image.open(site / "card.png")
    assert card.size == (1200, 630)
    assert len(card.convert("L").getcolors()) > 50, "something is drawn on it"
    rows = list(csv.DictReader((site / "numbers.csv").read_text().splitlines()))
    assert len(rows) == 3 + 7, "the originals and the cells"
    null = [row for row in rows if row["model"].startswith("null")]
    assert [float(row["real_bpb"]) for row in null] == [8.0] * 3
    downloads = re.findall(r'href="([^"]+)" download', text)
    assert len(downloads) == 3 + 7 + 1
    assert all((site / name).stat().st_size for name in downloads)


def test_what_is_downloaded_is_the_sound_as_it_is(tmp_path: Path) -> None:
    """What is played has another level, and says so."""
    from compgen.gallery.cells import Cell
    from compgen.gallery.shown import Shown

    prompt = item(GalleryRow(name="strings", made="plucked", medium="audio:coding=linear,rate=4000"), None)
    files: dict[str, str | bytes] = {}
    made = bytes(range(256)) * (len(prompt.rest[0]) // 256)
    shown = Shown(prompt, "strings", 0, files.__setitem__).cell(Cell(made, [], "x", 0.0, {}, ""), "x", "x")
    assert files[shown["download"]] == prompt.file(made, ".wav")
    wav = files[shown["audio"]]
    assert isinstance(wav, bytes)
    played, _ = soundfile.read(io.BytesIO(wav))
    given = len(prompt.given[0])
    assert np.abs(played).max() <= 0.9
    for part, true, gain in zip(
        (played[: given - 40], played[given + 40 :]), shown["true"], shown["gains"], strict=True
    ):
        assert level(part) == pytest.approx(true + gain, abs=0.5)


@given(
    loud=st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)),
    sizes=st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
    shift=st.floats(-1, 1),
)
def test_sound_for_listening_is_level_and_never_clips(
    loud: tuple[float, float], sizes: tuple[int, int], shift: float
) -> None:
    random = np.random.default_rng(sizes[0])
    given_part, made = (np.clip(random.uniform(-a, a, n) + shift, -1, 1) for a, n in zip(loud, sizes, strict=True))
    played, rate = soundfile.read(io.BytesIO(levelled(given_part, made, 4000).wav))
    assert (len(played), rate) == (sum(sizes), 4000)
    assert np.abs(played).max(initial=0) <= 10 ** (-1 / 20) + 1e-4
    for part in (played[: sizes[0] - 30], played[sizes[0] + 30 :]):
        if len(part) > 500:
            assert level(part) < -19


def test_spectrograms_of_a_row_have_one_scale() -> None:
    image = pytest.importorskip("PIL.Image")
    tone = np.sin(np.arange(8000) * 2 * np.pi * 1000 / 8000)
    top = loudest(tone, 8000)
    assert top == pytest.approx(0, abs=0.1), "a sine at full scale is 0 dB"

    def bright(sound: NDArray[np.float64], top: float | None) -> int:
        return int(np.asarray(image.open(io.BytesIO(spectrogram(sound, 8000, top)))).astype(int).sum(axis=2).max())

    assert bright(tone, top) == bright(tone / 100, None)
    assert bright(tone / 100, top) < bright(tone / 10, top) < bright(tone, top)


def test_distances_are_jensen_and_shannons(tmp_path: Path) -> None:
    from compgen.gallery.cells import draw, real
    from compgen.gallery.compare import compared, jensen_shannon
    from compgen.gallery.config import Column

    one, other = np.zeros((3, 256)), np.zeros((3, 256))
    one[:, 0], other[0, 0], other[1, 1], other[2, :2] = 1, 1, 1, 0.5
    assert jensen_shannon(one, other) == pytest.approx([0, 1, 0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25])
    prompt = item(GalleryRow(name="log", made="prose", keep=0.9, length=40), None)
    drawn = {n: draw(prompt, Column(compressor=spec), 1, tmp_path / f"{n}.json")
             for n, spec in enumerate(("backoff:order=2", "null", "backoff:order=2"))}  # fmt: skip
    told = compared(prompt, drawn)
    assert told["distances"][0][2] == 0
    assert told["distances"][0][1] == told["distances"][1][0] > 0.5
    context, data = real(prompt)
    for place in told["places"]["0-1"]:
        text = (context + data).decode()
        assert text.count(place["before"]) == 1
        came = text[text.index(place["before"]) + len(place["before"])]
        assert place["came"] == {" ": "space", "\n": "\\n"}.get(came, came)
        assert [sum(bar[2] for bar in bars) for bars in place["bars"]] == [1, 1]
    # What a cell keeps of a distribution is the model's, to the fineness that it is kept in.
    state = compgen.load("backoff:order=2").start([context])
    assert drawn[0].distributions[0] == pytest.approx(2.0 ** state.log2_probs()[0], rel=0.002)
    expected = compgen.score("backoff:order=2", data, context)
    assert drawn[0].measured["real_bpb"] == pytest.approx(expected.derived_bpb, abs=1e-3)


def test_every_column_is_spoken_of() -> None:
    from compgen.gallery.config import Column
    from compgen.gallery.portraits import leaders, words

    kinds = [words(Column(compressor=spec, rule=rule)).kind for spec, rule in
             (("gzip", ""), ("gzip", "one-step"), ("gzip:rule=calibrated", ""), ("gzip+ppmd", ""), ("llm", ""),
              ("uniform", ""))]  # fmt: skip
    assert kinds == [
        "cuts and glues",
        "the paper's rule",
        "learns whom to trust",
        "a mixture",
        "was trained",
        "a plug-in",
    ]
    assert words(Column(quirk="Hums.")).quirk == "Hums."
    told = leaders((n, "text", {"copy_rate": n / 4, "real_bpb": 3 - n, "reference_bpb": None}) for n in range(3))
    assert told == {2: "Of all here, it copies most: 50% of its phrases of 16 bytes stand in the text it was given."}


def test_addresses_differ() -> None:
    from compgen.gallery.shown import slug

    taken: set[str] = set()
    assert [slug(name, taken) for name in ("A book", "a  BOOK!", "<b>", "日本", "")] == [
        "a-book",
        "a-book-2",
        "b",
        "item",
        "item-2",
    ]


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
