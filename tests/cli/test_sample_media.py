"""The command sample on pictures and sound, as a user types it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run

image_module = pytest.importorskip("PIL.Image")
soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def drawing(tmp_path: Path) -> str:
    path = tmp_path / "drawing.png"
    y, x = np.mgrid[:16, :24]
    image_module.fromarray(((x // 4 + y // 4) % 2 * 200).astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture
def tone(tmp_path: Path) -> str:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.sin(np.arange(1600) / 4) / 2, 16_000)
    return str(path)


@pytest.mark.parametrize("spec", ["gzip", "png", "xz:window=200", "gzip+backoff:order=1"])
def test_the_lower_half_of_a_picture(cgn: Run, drawing: str, tmp_path: Path, spec: str) -> None:
    out = tmp_path / "next.png"
    done = cgn("sample", "-c", spec, "--prompt", drawing, "--keep", "0.5", "--seed", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    before, after = (np.asarray(image_module.open(p)) for p in (drawing, out))
    assert after.shape == (16, 24)
    assert np.array_equal(after[:8], before[:8])
    again = cgn("sample", "-c", spec, "--prompt", drawing, "--keep", "0.5", "--seed", "1")
    assert again.stdout == out.read_bytes()


def test_every_row_on_its_own(cgn: Run, drawing: str, tmp_path: Path) -> None:
    out = tmp_path / "next.png"
    options = ("--rule", "one-step", "--keep", "0.5", "--by-row", "--seed", "1", "--out", str(out), "--json")
    done = cgn("sample", "-c", "gzip", "--prompt", drawing, *options)
    assert done.returncode == 0, done.stderr
    before, after = (np.asarray(image_module.open(p)) for p in (drawing, out))
    assert after.shape == (16, 24)
    assert np.array_equal(after[:, :12], before[:, :12])
    report = json.loads(done.stdout)
    assert report["samples"][0]["bytes"] == 16 * 12
    assert report["prompt_bytes"] == 16 * 12
    assert report["samples"][0]["gradient_distance"] >= 0


@pytest.mark.parametrize("spec", ["flac", "gzip"])
def test_more_of_a_sound(cgn: Run, tone: str, tmp_path: Path, spec: str) -> None:
    out = tmp_path / "next.flac"
    done = cgn("sample", "-c", spec, "--prompt", tone, "--seconds", "0.02", "--seed", "1", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert soundfile.info(out).frames == 1600 + 320
    report = json.loads(done.stdout)
    assert report["medium"] == "audio:rate=16000,channels=1"
    assert report["samples"][0]["reference"] == "flac"
    assert report["samples"][0]["spectrum_distance_db"] > 0


def test_another_coding(cgn: Run, tone: str) -> None:
    done = cgn(
        "sample", "-c", "backoff", "--prompt", tone, "--medium", "audio:coding=16-bit,rate=8000", "--keep", "0.5"
    )
    frames, rate = soundfile.read(io.BytesIO(done.stdout))
    assert (len(frames), rate) == (800, 8000)


def test_a_picture_can_be_taken_for_bytes(cgn: Run, drawing: str) -> None:
    done = cgn("sample", "-c", "backoff", "--prompt", drawing, "--medium", "text", "--length", "5")
    assert len(done.stdout) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--keep", "1.5"), "keep must be a share"),
        (("--keep", "0"), "keep must be a share"),
        (("--by-row",), "only a picture is continued row by row"),
        (("--seconds", "1"), "--seconds is for sound"),
        (("--out", "next.jpg"), ".png"),
        (("--medium", "imgae"), "did you mean 'image'"),
        (("--medium", "image:width=99"), "pixels wide"),
        (("--samples", "2"), "--out next.png"),
        (("--by-row", "--keep", "0.5", "--sampler", "beam"), "use ancestral"),
    ],
)
def test_wrong_use_is_one_line(cgn: Run, drawing: str, options: tuple[str, ...], words: str) -> None:
    done = cgn("sample", "-c", "backoff", "--prompt", drawing, *options)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_bad_media_are_one_line(cgn: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = cgn("sample", "--prompt", str(bad))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
