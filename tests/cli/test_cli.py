"""The command line in processes of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import compgen
from tests.conftest import Run

PROMPT = b"the cat sat on the mat; the rat sat on the cat; "


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    path = tmp_path / "prompt.txt"
    path.write_bytes(PROMPT * 3)
    return str(path)


def test_bytes_go_to_stdout_and_the_summary_to_stderr(cgn: Run, prompt: str) -> None:
    done = cgn("sample", "--compressor", "gzip", "--prompt", prompt, "--length", "30", "--seed", "1")
    assert done.returncode == 0
    assert done.stdout == compgen.sample("gzip", PROMPT * 3, length=30, seed=1)[0].data
    assert done.stderr.startswith(b"gzip:rule=decoder, ancestral:allow=utf-8, seed 1: 30 bytes, ")
    assert b"bits per byte" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_the_seed_that_is_told_gives_the_sample_again(cgn: Run, prompt: str) -> None:
    first = cgn("sample", "--prompt", prompt, "--length", "12", "--json")
    seed = json.loads(first.stdout)["seed"]
    again = cgn("sample", "--prompt", prompt, "--length", "12", "--seed", str(seed))
    assert again.stdout == base64.b64decode(json.loads(first.stdout)["samples"][0]["base64"])


def test_json_tells_all(cgn: Run, prompt: str) -> None:
    done = cgn("sample", "-c", "backoff", "--prompt", prompt, "--length", "8", "--samples", "3", "--seed", "2",
               "--json", "--temperature", "0.8", "--top-k", "9", "--top-p", "0.9", "--min-p", "0.01",
               "--allow", "printable", "--stop", "zzz", "--context", "40")  # fmt: skip
    report = json.loads(done.stdout)
    assert report["compressor"] == "backoff"
    assert report["sampler"] == "ancestral:temperature=0.8,top_k=9,top_p=0.9,min_p=0.01,allow=printable"
    assert (report["seed"], report["prompt_bytes"], len(report["samples"])) == (2, 40, 3)
    expected = compgen.sample("backoff", (PROMPT * 3)[-40:], length=8, samples=3, seed=2, temperature=0.8, top_k=9,
                              top_p=0.9, min_p=0.01, allow="printable", stop="zzz")  # fmt: skip
    for one, same in zip(report["samples"], expected, strict=True):
        assert base64.b64decode(one["base64"]) == same.data
        assert one["text"] == same.data.decode()
        assert one["bits_per_byte"] == pytest.approx(same.bits_per_byte)
        assert (one["bytes"], one["stopped"], one["weight"]) == (8, False, pytest.approx(1 / 3))


@pytest.mark.parametrize("sampler", ["beam", "smc"])
def test_other_samplers(cgn: Run, sampler: str) -> None:
    done = cgn("sample", "-c", "backoff", "--text", "abcabcabc", "--length", "6", "--sampler", sampler, "--seed", "1")
    assert (done.returncode, len(done.stdout)) == (0, 6)
    several = cgn(
        "sample", "-c", "backoff", "--text", "abcabcabc", "--length", "6", "--sampler", sampler, "--samples", "4"
    )
    assert several.stdout.count(b"==> sample") == 4
    assert several.stdout.count(b", log2 probability -") == 4


def test_output_files_are_written_whole(cgn: Run, prompt: str, tmp_path: Path) -> None:
    out = tmp_path / "next.txt"
    done = cgn("sample", "-c", "backoff", "--prompt", prompt, "--length", "9", "--seed", "1", "--out", str(out))
    assert done.stdout == b""
    assert len(out.read_bytes()) == 9
    assert out.stat().st_mode & 0o777 == 0o666 & ~_umask()
    done = cgn("sample", "-c", "backoff", "--prompt", prompt, "--length", "9", "--samples", "2", "--out", str(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["next-1.txt", "next-2.txt", "next.txt", "prompt.txt"]


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_output_goes_through_links_and_into_pipes(cgn: Run, tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real.txt", tmp_path / "link.txt", tmp_path / "pipe"
    real.write_bytes(b"old")
    link.symlink_to(real)
    common = ("sample", "-c", "uniform", "--text", "x", "--length", "7", "--seed", "1", "--force", "--out")
    assert cgn(*common, str(link)).returncode == 0
    assert link.is_symlink()
    assert len(real.read_bytes()) == 7
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    assert cgn(*common, str(pipe)).returncode == 0
    assert reader.communicate(timeout=30)[0] == real.read_bytes()
    assert pipe.is_fifo()
    assert cgn(*common, "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    assert cgn(*common, str(tmp_path / ("n" * 250))).returncode == 0
    assert cgn(*common, str(tmp_path / ("n" * 300))).stderr.count(b"\n") == 1
    for nothing in ("", "/"):
        assert b"is a directory" in cgn(*common, nothing, "--samples", "2").stderr


def test_fewer_beams_than_samples_are_fewer_files(cgn: Run, tmp_path: Path) -> None:
    """There is one word of four As. Asking for three once wrote one file and failed."""
    done = cgn("sample", "--text", "hello", "--sampler", "beam", "--allow", "chars:A", "--samples", "3",
               "--length", "4", "--out", str(tmp_path / "b.txt"))  # fmt: skip
    assert done.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["b-1.txt"]


def test_a_plugin_sampler_that_shows_its_bytes_shows_them_once() -> None:
    code = """if True:
        import sys
        import compgen
        from compgen.cli import run
        from compgen.sampling.ancestral import Ancestral
        class Mine(Ancestral):
            pass
        compgen.register("mine", Mine)
        words = "sample -c uniform --text x --length 5 --sampler mine --allow bytes"
        sys.exit(run(words.split()))"""
    assert len(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) == 5


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_are_no_surprise(closed: str) -> None:
    command = f"'{sys.executable}' -m compgen sample -c uniform --prompt - --length 3 --seed 1 {closed}"
    done = subprocess.run(["bash", "-c", command], input=b"x", capture_output=True, check=True, timeout=60)
    assert b"Traceback" not in done.stderr
    wrong = subprocess.run(["bash", "-c", f"'{sys.executable}' -m compgen sample --lenth 3 2>&-"], capture_output=True,
                           check=False, timeout=60)  # fmt: skip
    assert (wrong.returncode, wrong.stdout) == (2, b"")


def test_text_that_an_encoding_lacks_is_replaced(cgn: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("é日本")
    done = cgn("score", str(path), "-c", "uniform", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")


def test_bytes_that_are_no_text_may_stop_and_prompt(cgn: Run) -> None:
    done = cgn(
        "sample", "-c", "uniform", "--text", os.fsdecode(b"\xff"), "--stop", os.fsdecode(b"\xff"), "--length", "3"
    )
    assert done.returncode == 0


def test_too_much_is_said(cgn: Run) -> None:
    done = cgn("sample", "-c", "uniform", "--text", "x", "--samples", "100000000000000")
    assert done.stderr == b"cgn: out of memory; ask for fewer samples or a smaller context\n"
    assert done.returncode == 1


def test_no_command_is_help(cgn: Run) -> None:
    assert cgn().stdout == cgn("--help").stdout != b""


def test_prompts_come_from_files_pipes_and_words(cgn: Run, prompt: str) -> None:
    common = ("sample", "-c", "backoff", "--length", "9", "--seed", "1")
    results = {
        cgn(*common, "--prompt", prompt).stdout,
        cgn(*common, "--prompt", "-", stdin=PROMPT * 3).stdout,
        cgn(*common, "--text", (PROMPT * 3).decode()).stdout,
        cgn(*common, "--prompt", "-", "--context", str(len(PROMPT) * 3), stdin=b"before" + PROMPT * 3).stdout,
    }
    assert len(results) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give one prompt: PROMPT or --prompt FILE (- for standard input), or --text TEXT"),
        (["--prompt", "x", "--text", "y"], 2, "give one prompt"),
        (["Once upon a time"], 2, "give a text with --text"),
        (["--prompt", "/no/such/file"], 2, "does not exist; check the path"),
        (["--prompt", "/"], 2, "is a directory; name a file in it"),
        (["--text", "x", "--length", "-1"], 2, "length must be 0 or more"),
        (["--text", "x", "--length", "ten"], 2, "Invalid value for '--length'"),
        (["--text", "x", "--context", "-1"], 2, "--context must be 0 or more"),
        (["--text", "x", "-c", "gzpi"], 2, "unknown compressor or model 'gzpi'; did you mean 'gzip'?"),
        (["--text", "x", "-c", "gzip:levle=2"], 2, "did you mean 'level'?"),
        (["--text", "x", "-c", "command:no-such-program"], 1, "no program 'no-such-program'"),
        (["--text", "x", "-c", "command:false"], 1, "failed with exit code 1"),
        (["--text", "x", "--rule", "onestep"], 2, "did you mean 'one-step'?"),
        (["--text", "x", "--temperature", "-2"], 2, "temperature must be 0 (greedy) or a positive number"),
        (["--text", "x", "--top-p", "1.5"], 2, "top-p must be above 0 and at most 1"),
        (["--text", "x", "--top-k", "0"], 2, "top-k must be 1 or more"),
        (["--text", "x", "--min-p", "2"], 2, "min-p must be between 0 and 1"),
        (["--text", "x", "--sampler", "bean"], 2, "did you mean 'beam'?"),
        (["--text", "x", "--allow", "utf8"], 2, "did you mean 'utf-8'?"),
        (["--text", "x", "--samples", "0"], 2, "samples must be 1 or more"),
        (["--text", "x", "--stop", ""], 2, "must not be empty"),
        (["--text", "x", "--out", "/no/such/place"], 2, "there is no directory '/no/such'; make it first"),
        (["--text", "x", "--out", "/tmp"], 2, "is a directory"),
        (["--text", "x", "--lenght", "3"], 2, "--length"),  # the rest of it is worded by releases of Click
    ],
)
def test_bad_input_is_one_line_that_names_the_fix(cgn: Run, arguments: list[str], code: int, said: str) -> None:
    done = cgn("sample", *arguments)
    assert said in done.stderr.decode()
    assert done.stderr.startswith(b"cgn: ")
    assert done.stderr.count(b"\n") == 1
    assert (done.returncode, done.stdout) == (code, b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_said(cgn: Run, prompt: str) -> None:
    Path(prompt).chmod(0)
    done = cgn("sample", "--prompt", prompt)
    assert b"cannot be read: Permission denied" in done.stderr
    assert done.returncode == 2


def test_empty_and_binary_prompts_and_no_length_are_no_errors(cgn: Run) -> None:
    for stdin in (b"", bytes(range(256)), b"\xff\xfe\x00"):
        done = cgn("sample", "--prompt", "-", "--length", "3", "--seed", "1", stdin=stdin)
        assert (done.returncode, len(done.stdout)) == (0, 3)
    assert cgn("sample", "--text", "", "--length", "0").stdout == b""


def test_a_closed_stdout_is_quiet(prompt: str) -> None:
    command = (
        f"'{sys.executable}' -m compgen sample -c backoff --prompt '{prompt}' --length 100000 --seed 1 | head -c 3"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=60)
    assert len(done.stdout) == 3
    assert done.stderr == b""


def test_a_closed_stdout_has_the_exit_code_of_a_closed_pipe() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "compgen", "compressors"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_an_interrupt_inside_a_finaliser_is_not_lost() -> None:
    program = (
        "import sys, time\n"
        "import compgen.cli as cli\n"
        "class Last:\n"
        "    def __del__(self): raise KeyboardInterrupt\n"
        "def command(arguments):\n"
        "    Last()\n"
        "    time.sleep(20)\n"
        "    return 0\n"
        "def run(arguments):\n"
        "    try:\n"
        "        return command(arguments)\n"
        "    except KeyboardInterrupt:\n"
        "        return cli._fail('interrupted', 130)\n"
        "cli.run = run\n"
        "from compgen.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, b"cgn: interrupted\n")


@pytest.mark.parametrize("spec", ["gzip", "bz2", "command:gzip -c"])
def test_ctrl_c_is_clean_and_leaves_no_file(tmp_path: Path, spec: str) -> None:
    out = tmp_path / "out.txt"
    process = subprocess.Popen(
        [sys.executable, "-m", "compgen", "sample", "-c", spec, "--text", "abc" * 3000, "--length", "100000",
         "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said == b"cgn: interrupted\n"
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def on_a_terminal(*arguments: str) -> str:
    """Run the program with a terminal for all three streams, and return what the terminal shows."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "compgen", *arguments], stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(slave)
    shown = bytearray()
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    process.wait(60)
    os.close(master)
    return shown.decode()


def test_a_terminal_gets_readable_text() -> None:
    shown = on_a_terminal("sample", "-c", "uniform", "--text", "x", "--length", "60", "--seed", "3")
    data = compgen.sample("uniform", "x", length=60, seed=3)[0]
    assert data.text.replace("\n", "\r\n") in shown
    assert "\x1b" not in shown
    assert shown.endswith("bytes/s\r\n")


def test_a_terminal_gets_progress_for_what_does_not_stream(tmp_path: Path) -> None:
    shown = on_a_terminal("sample", "-c", "bz2", "--text", "x" * 900, "--length", "5", "--out", str(tmp_path / "o"))
    assert "sampling" in shown
    assert "5/5" in shown
    assert "bytes/s" in shown


def test_score_prints_the_rates(cgn: Run, prompt: str) -> None:
    done = cgn("score", prompt, "-c", "gzip", "--context", "48", "--length", "20", "--json")
    report = json.loads(done.stdout)
    expected = compgen.score("gzip", (PROMPT * 3)[48:68], (PROMPT * 3)[:48])
    assert report["derived_bpb"] == pytest.approx(expected.derived_bpb)
    assert report["own_bpb"] == pytest.approx(expected.own_bpb)
    assert report["code_waste"] == pytest.approx(expected.code_waste)
    assert (report["bytes"], report["context_bytes"], report["compressor"]) == (20, 48, "gzip:rule=decoder")
    assert report["seconds"] > 0
    text = cgn("score", prompt, "-c", "gzip", "--context", "48", "--length", "20")
    assert text.stdout.startswith((PROMPT * 3)[48:68])
    assert f"derived_bpb  {expected.derived_bpb:.4f}".encode() in text.stdout
    assert text.stderr == b""


def test_score_has_a_control(cgn: Run, prompt: str) -> None:
    """What a rule gives over a compressor that knows nothing: over its law, nothing."""
    span = ("--context", "48", "--length", "60", "--control")
    report = json.loads(cgn("score", prompt, *span, "--json").stdout)
    assert report["control_bpb"] == 8.0
    assert report["derived_bpb"] < 8.0
    assert "control_bpb" not in json.loads(cgn("score", prompt, "--length", "5", "--json").stdout)
    calibrated = json.loads(cgn("score", prompt, *span, "--json", "--rule", "calibrated").stdout)
    assert calibrated["control_bpb"] == 8.0
    assert calibrated["derived_bpb"] < 8.0
    assert b"control_bpb  8.0000" in cgn("score", prompt, *span).stdout
    proposals = json.loads(cgn("score", prompt, *span, "--json", "-c", "bz2").stdout)
    assert b"under compgen's proposals" in cgn("score", prompt, "-c", "bz2", "--length", "9").stdout
    assert proposals["control_bpb"] < 4, "a compressor without a law gets proposals, and so does its control"
    refused = cgn("score", prompt, "-c", "backoff", *span)
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
    assert b"--control" in refused.stderr


@pytest.mark.parametrize("command", ["sample", "score", "compress"])
def test_a_compressor_without_a_law_names_the_rule_that_it_has(cgn: Run, prompt: str, command: str) -> None:
    words = ("--prompt", prompt, "--length", "5") if command == "sample" else (prompt,)
    done = cgn(command, *words, "-c", "bz2:rule=decoder")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"--rule calibrated" in done.stderr


def test_the_summary_of_a_sample_names_the_rule_in_use(cgn: Run, prompt: str) -> None:
    common = ("sample", "--prompt", prompt, "--length", "3", "--seed", "1")
    for words, named in (
        (("-c", "bz2"), b"bz2:rule=calibrated, "),
        (("-c", "xz:window=400"), b"xz:rule=decoder,window=400, "),
        (("--rule", "one-step"), b"gzip:rule=one-step, "),
        (("-c", "bz2", "--effort", "best"), b"bz2:rule=calibrated,effort=best, "),
        (("-c", "gzip+bz2"), b"gzip:rule=decoder+bz2:rule=calibrated, "),
    ):
        done = cgn(*common, *words)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(named)


def test_score_colours_its_text_on_a_terminal(prompt: str) -> None:
    shown = on_a_terminal("score", prompt, "-c", "backoff", "--length", "10")
    assert shown.count("\x1b[38;5;") + shown.count("\x1b[38;2;") >= 10


def test_score_spans(cgn: Run, prompt: str) -> None:
    def span(*arguments: str) -> tuple[int, int]:
        report = json.loads(cgn("score", prompt, "-c", "uniform", "--json", *arguments).stdout)
        return report["context_bytes"], report["bytes"]

    size = len(PROMPT) * 3
    assert span() == (0, size)
    assert span("--offset", "100") == (100, size - 100)
    assert span("--context", "30") == (30, size - 30)
    assert span("--context", "30", "--offset", "100", "--length", "7") == (30, 7)
    assert span("--offset", "100", "--length", "100000") == (100, size - 100)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--offset", "500"], "there is nothing to score"),
        (["--offset", "-1"], "--offset must be 0 or more"),
        (["--context", "-1"], "--context must be 0 or more"),
        (["--length", "0"], "--length must be 1 or more"),
        (["--context", "50", "--offset", "10"], "only 10 bytes come before --offset 10; lower --context 50"),
    ],
)
def test_score_refuses_spans_that_are_not_there(cgn: Run, prompt: str, arguments: list[str], said: str) -> None:
    done = cgn("score", prompt, *arguments)
    assert said in done.stderr.decode()
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_ncd(cgn: Run, prompt: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(random.Random(1).randbytes(40_000))
    same = cgn("ncd", prompt, prompt)
    assert float(same.stdout) < 0.2
    report = json.loads(cgn("ncd", prompt, str(other), "-c", "bz2", "--json").stdout)
    assert report["compressor"] == "bz2"
    assert report["ncd"] > 0.7
    blind = cgn("ncd", prompt, str(other), "-c", "gzip").stderr
    assert blind.startswith(b"cgn: gzip hardly sees a copy of other (40000 bytes)")
    assert blind.count(b"\n") == 1
    assert float(cgn("ncd", prompt, "-", "-j", "2", stdin=PROMPT * 3).stdout) < 0.2
    assert b"standard input can be read once" in cgn("ncd", "-", "-").stderr
    assert b"what codes with it is model:uniform" in cgn("ncd", prompt, prompt, "-c", "uniform").stderr


def test_compressors_lists_what_is_here(cgn: Run) -> None:
    begin = time.perf_counter()
    found = json.loads(cgn("compressors", "--json").stdout)
    assert time.perf_counter() - begin < 10  # 0.6 s alone; a figure measured anew would take minutes
    entries = {entry["name"]: entry for entry in found["entries"]}
    assert entries["gzip"]["resolution_bits"] == 1
    assert entries["gzip"]["version"].startswith("zlib ")
    assert entries["xz"]["resolution_bits"] == 8
    assert entries["backoff"]["kind"] == "model"
    laws = {name: entry["law"] for name, entry in entries.items() if "law" in entry}
    assert {name for name, law in laws.items() if law == "exact"} == {
        "gzip", "zlib", "deflate", "xz", "zstd", "flac", "png", "ppmd", "model"
    }  # fmt: skip
    assert {name for name, law in laws.items() if law == "none"} >= {"bz2"}
    assert {name for name, law in laws.items() if law == "fitted"} == {
        "zstd-dict", "brotli", "command", "null"
    }  # fmt: skip
    assert all(entry["available"] for entry in entries.values() if entry["name"] != "llm")
    assert b"gzip" in cgn("compressors").stdout


def test_compressors_says_what_is_missing(cgn: Run, tmp_path: Path) -> None:
    (tmp_path / "pyppmd.py").write_text("raise ModuleNotFoundError(\"No module named 'pyppmd'\", name='pyppmd')")
    entries = json.loads(cgn("compressors", "--json", PYTHONPATH=str(tmp_path)).stdout)["entries"]
    (ppmd,) = [entry for entry in entries if entry["name"] == "ppmd"]
    assert ppmd["available"] is False
    assert "pip install 'compgen[ppmd]'" in ppmd["problem"]
    assert b"pip install 'compgen[ppmd]'" in cgn("compressors", PYTHONPATH=str(tmp_path)).stdout
    done = cgn("sample", "-c", "ppmd", "--text", "x", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


def test_version_and_help(cgn: Run) -> None:
    assert cgn("--version").stdout.decode() == f"compgen {compgen.__version__}\n"
    for command in ("sample", "score", "ncd", "compressors", "shell-init"):
        assert command.encode() in cgn("--help").stdout
        assert cgn(command, "--help").stdout.startswith(b"Usage: cgn " + command.encode())
    assert cgn("smaple").stderr.count(b"\n") == 1


SCRIPTS = Path(sys.executable).parent


def in_shell(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "PATH": path})  # fmt: skip


SAMPLE = "compgen sample -c backoff --text 'abcabc' --length 5 --seed 1"


def test_the_trap_is_real_and_cgn_is_not_in_it() -> None:
    assert in_shell("bash", "-c", SAMPLE).stdout == ""
    assert len(in_shell("bash", "-c", SAMPLE.replace("compgen", "cgn", 1)).stdout) == 5
    assert len(in_shell("bash", "-c", SAMPLE.replace("compgen", "python -m compgen", 1)).stdout) == 5


def test_bash_after_shell_init() -> None:
    setup = 'eval "$(cgn shell-init bash)"; '
    assert len(in_shell("bash", "-c", setup + SAMPLE).stdout) == 5
    assert in_shell("bash", "-c", setup + "compgen -A builtin -- compg").stdout == "compgen\n"
    assert in_shell("bash", "-c", setup + "compgen -W 'one two' t").stdout == "two\n"
    assert in_shell("bash", "-c", setup + "compgen --version").stdout == f"compgen {compgen.__version__}\n"
    assert in_shell("bash", "-c", setup + "compgen --help").stdout.startswith("Usage: cgn ")
    assert "did you mean 'sample'" in in_shell("bash", "-c", setup + "compgen smaple").stderr.lower()


TYPED = {
    "cgn sco": "cgn score ",
    "compgen sample --temper": "compgen sample --temperature ",
    "cgn sample -c histo": "cgn sample -c history ",
    "cgn sample --compressor=histo": "cgn sample --compressor=history ",
    "cgn sample a": "cgn sample a story.txt ",
    "cgn compress -o a": "cgn compress -o a story.txt ",
    "cgn sample -c command:gz": "cgn sample -c command:gz",
    "cgn sample -c gzip:le": "cgn sample -c gzip:level=",
    "cgn sample --compressor=gzip:level=6,ru": "cgn sample --compressor=gzip:level=6,rule=",
    "cgn sample --rule d": "cgn sample --rule decoder ",
    "cgn sample --sampler be": "cgn sample --sampler beam ",
    "cgn sample --allow pr": "cgn sample --allow printable ",
    "cgn compress -c history+gzip:rule=dec": "cgn compress -c history+gzip:rule=decoder ",
}
"""Lines that end in a tab, and what they become."""


@pytest.mark.parametrize(
    ("shell", "setup"),
    [
        (
            ("bash", "--norc", "--noprofile", "-i"),
            "bind 'set enable-bracketed-paste off'; eval \"$(cgn shell-init bash)\"",
        ),
        (
            ("zsh", "-f", "-i"),
            'unset zle_bracketed_paste; autoload -U compinit; compinit -u -D; eval "$(cgn shell-init zsh)"',
        ),
    ],
    ids=["bash", "zsh"],
)
def test_tab_in_a_real_shell_completes_commands_options_specs_and_files(
    shell: tuple[str, ...], setup: str, tmp_path: Path
) -> None:
    """bash itself splits words at ``=`` and ``:``, and takes a line of help for a word."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    (tmp_path / "a story.txt").write_bytes(b"x")
    master, slave = pty.openpty()
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "PS1": "", "TERM": "dumb"}
    process = subprocess.Popen(
        shell, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=tmp_path, start_new_session=True
    )
    os.close(slave)
    os.write(master, f"{setup}\n".encode())
    for line in TYPED:
        # After the tab: to the start of the line, and make an echo of the line.
        os.write(master, line.encode() + b"\t\x01echo '<'\"\x05\"'>'\n")
    os.write(master, b"exit\n")
    shown = bytearray()
    with contextlib.suppress(OSError):  # the terminal is closed when the shell ends
        while piece := os.read(master, 4096):
            shown += piece
    process.wait(60)
    os.close(master)
    printed = [line[1:-1] for line in shown.decode().splitlines() if line.startswith("<") and line.endswith(">")]
    # zsh's space after a word is taken back where the line goes on elsewhere.
    assert [line.replace("\\", "").strip() for line in printed] == [line.strip() for line in TYPED.values()]


def test_zsh_after_shell_init() -> None:
    setup = 'eval "$(cgn shell-init zsh)"; '
    assert len(in_shell("zsh", "-fc", setup + SAMPLE).stdout) == 5
    bash_in_zsh, words = "autoload -U +X compinit bashcompinit; compinit -u; bashcompinit; ", "compgen -W 'one two' t"
    plain = in_shell("zsh", "-fc", bash_in_zsh + words).stdout
    assert "two" in plain
    assert in_shell("zsh", "-fc", bash_in_zsh + setup + words).stdout == plain
    assert len(in_shell("zsh", "-fc", bash_in_zsh + setup + SAMPLE).stdout) == 5
    # Sourcing ~/.zshrc again once made the function call itself until zsh fell over.
    assert len(in_shell("zsh", "-fc", setup + setup + SAMPLE).stdout) == 5
    assert in_shell("zsh", "-fc", bash_in_zsh + setup + setup + words).stdout == plain


def test_fish_after_shell_init() -> None:
    assert len(in_shell("fish", "-c", "cgn shell-init fish | source; " + SAMPLE).stdout) == 5
    for line, found in {"compgen sc": "score", "cgn sample -c gzip:ru": "gzip:rule="}.items():
        shown = in_shell("fish", "-c", f'cgn shell-init fish | source; complete -C "{line}"').stdout
        assert shown.split()[0] == found


def test_an_unknown_shell_is_refused(cgn: Run) -> None:
    done = cgn("shell-init", "tcsh")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
