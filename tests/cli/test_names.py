"""One name for one thing: in every command, in Python, and for those who know the names of other libraries."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer

import compgen
from compgen.cli import app, run
from compgen.sampling.foreign import FOREIGN

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
WRITERS = ("sample", "compress", "decompress", "explain", "gallery", "evaluate", "train", "convert", "ncd")


def options(command: str) -> dict[str, list[str]]:
    """The names and the spellings of a command's options."""
    return {one.name: [*one.opts, *one.secondary_opts] for one in COMMANDS[command].params}


def test_every_command_that_writes_says_where_by_one_name() -> None:
    for command in COMMANDS:
        spellings = options(command).get("out")
        assert spellings == (["-o", "--out"] if command in WRITERS else None), command
        assert "--output" not in str(options(command))


def test_one_name_is_one_option_in_all_commands() -> None:
    known: dict[str, list[str]] = {}
    for command in COMMANDS:
        for name, spellings in options(command).items():
            if spellings[0].startswith("-"):
                assert known.setdefault(name, spellings) == spellings, f"{command} {name}"


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_bytes(b"the cat sat on the mat; " * 3)
    return path


def test_sample_and_score_take_a_prompt_alike(story: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for words in (["sample", "--length", "9", "--seed", "1"], ["score"]):
        shown = set()
        for prompt in ([str(story)], ["--prompt", str(story)], ["--text", story.read_text()]):
            assert run([*words, *prompt, "-c", "backoff"]) == 0
            shown.add(capfdbinary.readouterr().out.split(b"seconds")[0])
        assert len(shown) == 1
        for wrong in ([], [str(story), "--prompt", str(story)], [str(story), "--text", "x"]):
            assert run([*words, *wrong]) == 2
            assert capfdbinary.readouterr().err == (
                b"cgn: give one prompt: PROMPT or --prompt FILE (- for standard input), or --text TEXT\n"
            )
        assert run([*words, "Once upon a time"]) == 2
        assert b"give a text with --text" in capfdbinary.readouterr().err


def test_a_dash_is_standard_output_for_samples_too(story: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    words = ["sample", str(story), "-c", "backoff", "--length", "9", "--seed", "1"]
    assert (run(words), run([*words, "-o", "-"])) == (0, 0)
    out = capfdbinary.readouterr().out
    assert len(out) == 18
    assert out[:9] == out[9:]
    assert not Path("-").exists()


@pytest.mark.parametrize("word", FOREIGN)
def test_words_of_other_libraries_are_answered_with_ours(word: str, capfd: pytest.CaptureFixture[str]) -> None:
    ours = FOREIGN[word]
    arguments = inspect.signature(compgen.sample).parameters
    assert set(ours.options) <= set(arguments)
    assert word not in arguments
    with pytest.raises(TypeError, match=f"sample\\(\\) has no argument '{word}'; write {next(iter(ours.options))}="):
        compgen.sample("gzip", "x", **{word: 3})  # type: ignore[arg-type]
    option = f"--{word.replace('_', '-')}"
    assert run(["sample", "--text", "x", f"{option}=3"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"cgn: cgn sample has no {option}; write ")
    assert said.count("\n") == 1
    for name, value in ours.options.items():
        assert f"--{name.replace('_', '-')} {value}" in said
        assert name in options("sample")


def test_what_is_advised_in_python_runs_as_it_stands() -> None:
    with pytest.raises(TypeError) as caught:
        compgen.sample("backoff", "x", num_beams=2)  # type: ignore[arg-type]
    written = str(caught.value).partition("write ")[2].removesuffix(", for N beams")
    assert len(eval(f"compgen.sample('backoff', 'x', length=2, {written})", {"compgen": compgen, "N": 2})) == 2  # noqa: S307


def test_a_misspelt_argument_of_python_is_recognised() -> None:
    with pytest.raises(TypeError, match=r"sample\(\) has no argument 'lenght'; did you mean 'length'\?"):
        compgen.sample("gzip", "x", lenght=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no argument 'foo'; known: allow, "):
        compgen.sample("gzip", "x", foo=3)  # type: ignore[arg-type]


def test_a_foreign_word_where_ours_is_not_is_an_unknown_option(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ncd", "--num-beams", "3", "a", "b"]) == 2
    assert "--sampler" not in capfd.readouterr().err
