"""The command sample on pictures and sound, as a user types it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from compgen.cli import run
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
    assert report["medium"] == "audio:coding=16-bit,rate=16000,channels=1"
    assert soundfile.info(out).subtype == "PCM_16"
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
        (("--out", "next.jpg"), ".png, .bmp, .tiff or .tif, not .jpg; name such a file"),
        (("--out", "next.txt"), "image is written as .png"),
        (("--out", "next.wav"), "image is written as .png"),
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


@pytest.mark.parametrize(
    ("name", "item", "options", "words"),
    [
        ("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", (), "'a.pdf': PDF is neither.*pdftotext.*--medium text"),
        ("a.m4a", b"\0\0\0\x1cftypM4A \0\0\0\0", (), "M4A is neither.*OUT.wav'"),
        (
            "a.wav",
            b"RIFF\xff\xff\xff\x7fWAVEjunk\xff\xff\xff\x7f",
            (),
            "'a.wav': the WAV file is cut.*--medium text",
        ),
        ("a.txt", b"prose", ("--out", "o.wav"), "text is not written as .wav.*name the file .txt or .bin"),
        ("a.txt", b"prose", ("--out", "o.png"), "text is not written as .png"),
        ("a.txt", b"prose", ("--medium", "image"), "'a.txt': the picture cannot be read.*give one of PNG, JPEG"),
        ("a.png", b"\x89PNG\r\n\x1a\n", ("--medium", "audio"), "it is PNG; leave the medium out"),
    ],
)
def test_what_is_no_prompt_and_no_output_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    item: bytes,
    options: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(item)
    assert run(["sample", "-c", "backoff", "--length", "3", "--prompt", name, *options]) == 2
    told = capsys.readouterr().err
    assert re.search(words, told)
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_refused_file_can_be_taken_for_bytes(tmp_path: Path, cgn: Run) -> None:
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0")
    done = cgn("sample", "-c", "uniform", "--prompt", str(tmp_path / "a.gz"), "--medium", "text", "--length", "5")
    assert (done.returncode, len(done.stdout)) == (0, 5)


def test_losses_are_told_once_on_standard_error(cgn: Run, tone: str, tmp_path: Path) -> None:
    common = (
        "sample",
        "-c",
        "backoff",
        "--prompt",
        tone,
        "--length",
        "4",
        "--seed",
        "1",
        "--out",
        str(tmp_path / "o.wav"),
    )
    lines = cgn(*common).stderr.decode().splitlines()
    assert len(lines) == 1
    (tmp_path / "o.wav").unlink()
    soundfile.write(tone, np.zeros(1600), 16_000, subtype="PCM_24")
    lines = cgn(*common).stderr.decode().splitlines()
    assert len(lines) == 2
    assert lines[0] == "cgn: the sound does not come back as it came: its samples of 24 bits become samples of 16"


def test_bad_media_are_one_line(cgn: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = cgn("sample", "--prompt", str(bad))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
