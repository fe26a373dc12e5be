from __future__ import annotations

import csv
import io
import json
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import compgen
from compgen.cli import run
from compgen.cli.ncd import labels
from compgen.compressors import COMPRESSORS
from compgen.compressors.null import Null
from compgen.errors import BlindnessWarning, UsageError
from compgen.evaluation.ncd import distances

ENGLISH = b"it was the best of times, it was the worst of times, it was the age of wisdom; " * 8
OTHER = random.Random(1).randbytes(600)
THIRD = bytes(range(256)) * 3
NOISE = random.Random(2).randbytes(40_000)


@pytest.mark.parametrize("spec", ["gzip", "xz", "bz2", "ppmd"])
def test_likeness_is_near_zero_and_unlikeness_near_one(spec: str) -> None:
    assert compgen.ncd(ENGLISH, ENGLISH, spec) < 0.3
    assert compgen.ncd(ENGLISH, OTHER, spec) > 0.9


def test_it_is_the_formula() -> None:
    gzip = COMPRESSORS.build("gzip")
    a, b, ab = (gzip.code_length(x) for x in (ENGLISH, OTHER, ENGLISH + OTHER))
    assert compgen.ncd(ENGLISH, OTHER, gzip) == (ab - min(a, b)) / max(a, b)


def test_text_will_do_and_numbers_will_not() -> None:
    assert compgen.ncd("abc", "abd") == compgen.ncd(b"abc", b"abd")
    with pytest.raises(UsageError, match="b must be bytes or text, not 5"):
        compgen.ncd(b"abc", 5)  # type: ignore[arg-type]


def test_two_empty_strings_have_no_distance() -> None:
    with pytest.raises(UsageError, match="not defined"):
        compgen.ncd(b"", b"")
    with pytest.raises(UsageError, match="two strings, not 1"):
        distances([b"a"])
    with pytest.raises(UsageError, match="jobs must be 1 or more"):
        distances([b"a", b"b"], jobs=0)
    assert compgen.ncd(b"", ENGLISH) == pytest.approx(1, abs=0.1)
    assert distances([b"", ENGLISH, b""], "null").matrix.tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


@pytest.mark.parametrize("spec", ["gzip", "png", 'model:"backoff:order=2"'])
def test_header_free_is_without_the_length_of_nothing(spec: str) -> None:
    compressor = COMPRESSORS.build(spec)
    empty, a, b, ab = (compressor.code_length(x) for x in (b"", ENGLISH, OTHER, ENGLISH + OTHER))
    expected = (ab - empty - (min(a, b) - empty)) / (max(a, b) - empty)
    assert compgen.ncd(ENGLISH, OTHER, compressor, header_free=True) == pytest.approx(expected)
    found = distances([ENGLISH, OTHER], compressor, header_free=True)
    assert found.lengths.tolist() == [a - empty, b - empty]


def test_symmetric_is_the_mean_of_both_orders(prose: bytes) -> None:
    a, b = prose[:700], prose[900:2500]
    one, other = compgen.ncd(a, b, "gzip"), compgen.ncd(b, a, "gzip")
    assert one != other
    assert compgen.ncd(a, b, "gzip", symmetric=True) == (one + other) / 2
    matrix = distances([a, b, OTHER], "gzip", symmetric=True).matrix
    assert np.array_equal(matrix, matrix.T)
    assert matrix[0, 1] == (one + other) / 2


@dataclass(frozen=True)
class Counting(Null):
    """The null compressor, which counts what it measures."""

    name: ClassVar[str] = "counting"
    seen: ClassVar[list[bytes]] = []

    def code_length(self, data: bytes) -> float:
        self.seen.append(data)
        return super().code_length(data)


def test_each_length_is_measured_once_and_equal_strings_are_one() -> None:
    Counting.seen.clear()
    done: list[tuple[int, int]] = []
    matrix = distances([b"a", b"bb", b"a"], Counting(), watch=lambda *now: done.append(now)).matrix
    assert sorted(Counting.seen) == sorted([b"a", b"bb", b"aa", b"abb", b"bba", b"bbbb"])
    assert matrix.shape == (3, 3)
    assert np.array_equal(matrix[0], matrix[2])
    assert [now for now, _ in done] == sorted({now for now, _ in done})
    assert done[-1] == (15, 15)


def test_a_matrix_is_all_pairs_and_processes_change_nothing() -> None:
    strings = [ENGLISH, OTHER, THIRD, ENGLISH[:300]]
    found = distances(strings, "gzip")
    for i, a in enumerate(strings):
        for j, b in enumerate(strings):
            assert found.matrix[i, j] == compgen.ncd(a, b, "gzip")
    several = distances(strings, "gzip", jobs=2)
    assert np.array_equal(several.matrix, found.matrix)
    assert np.array_equal(several.lengths, found.lengths)
    assert found.blindness == several.blindness == ""


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("gzip", 40_000),
        ("command:gzip", 40_000),
        ("png", 40_000),
        ("flac", 40_000),
        ("jpegls", 12_000),
        ("webp", 40_000),
        ("bz2", 1_200_000),
        ("bz2:level=1", 150_000),
        ("zstd:level=1", 1_000_000),
        ("null", 40),
    ],
)
def test_what_does_not_see_a_copy_is_told(spec: str, size: int) -> None:
    """Two identical long files were at 0.998 to 1.000 without a word, for all but gzip."""
    if spec in ("flac", "jpegls", "webp"):
        pytest.importorskip("soundfile" if spec == "flac" else "imagecodecs")
    data = np.random.default_rng(3).bytes(size)
    found = distances([data, b"a short one"], spec)
    assert found.matrix[0, 0] > 0.9
    said = re.fullmatch(
        r"(.*) hardly sees a copy of string 1 \((\d+) bytes\): its distance to itself is (.*) and should be near 0; "
        r"so a distance near 1 says little; by xz it is (.*), so use xz",
        found.blindness,
    )
    assert said is not None
    xz = distances([data, data], "xz").matrix[0, 0]
    assert said.groups() == (spec, str(size), f"{found.matrix[0, 0]:.3f}", f"{xz:.3f}")


@pytest.mark.parametrize("spec", ["gzip", "bz2", "xz", "zstd", "zstd-dict", "brotli", "ppmd", "png", "null"])
@pytest.mark.parametrize("header_free", [False, True])
def test_what_is_short_or_seen_is_not_told(spec: str, header_free: bool) -> None:
    strings = [b"a", b"ab", b"hello world", NOISE[:10], bytes(30)]
    if spec not in ("null", "png"):
        strings += [ENGLISH, NOISE[:300], NOISE[:10_000], THIRD * 60]
    assert distances(strings, spec, header_free=header_free).blindness == ""


def test_text_that_a_compressor_sees_is_not_told(alice: bytes) -> None:
    for spec, size in (("gzip", 16_000), ("bz2", 150_000), ("ppmd", 150_000), ("brotli", 150_000), ("zstd", 150_000)):
        assert distances([alice[:size], alice[:100]], spec).blindness == ""


def test_no_other_compressor_is_named_where_none_is_better() -> None:
    zeros = bytes(4_000_000)
    assert distances([zeros, b"a"], "xz").blindness.endswith("says little")
    assert re.search(r"by xz it is 0\.8\d\d, which is no better$", distances([zeros, b"a"], "gzip").blindness)


def test_ncd_warns_where_its_number_means_nothing() -> None:
    with pytest.warns(
        BlindnessWarning, match=r"copy of the first string \(40000 bytes\).* likewise for 1 more"
    ) as told:
        assert compgen.ncd(NOISE, NOISE[::-1], "gzip") > 0.99
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compgen.ncd(NOISE, NOISE[::-1], "xz")


Cgn = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cgn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cgn:
    """Run ``cgn ncd`` in a folder with a few files. Returns its exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    for name, data in (("one/x", ENGLISH), ("two/x", OTHER), ("third", THIRD), ("noise", NOISE), ("empty", b"")):
        (tmp_path / name).write_bytes(data)

    def ncd(*arguments: str) -> tuple[int, str, str]:
        code = run(["ncd", *arguments])
        return code, *capsys.readouterr()

    return ncd


def test_two_files_are_a_number_and_more_are_a_table(cgn: Cgn) -> None:
    value = compgen.ncd(ENGLISH, OTHER, "gzip")
    assert cgn("one/x", "two/x", "-c", "gzip") == (0, f"{value:.4f}\n", "")
    code, table, _ = cgn("one/x", "two/x", "third", "third", "-c", "gzip")
    lines = [line.split("  ", 2) for line in table.splitlines()]
    assert code == 0
    assert [line[1] for line in lines[1:]] == ["one/x", "two/x", "third", "third (2)"]
    expected = distances([ENGLISH, OTHER, THIRD, THIRD], "gzip").matrix
    shown = [[float(value) for value in line[2].split()] for line in lines[1:]]
    assert np.allclose(shown, expected, atol=0.0006)


@pytest.mark.parametrize("options", [(), ("--symmetric",), ("--header-free", "--jobs", "2")])
def test_csv_and_json_tell_all(cgn: Cgn, options: tuple[str, ...]) -> None:
    paths = ["one/x", "two/x", "third"]
    symmetric, header_free = "--symmetric" in options, "--header-free" in options
    expected = distances([ENGLISH, OTHER, THIRD], "bz2", symmetric=symmetric, header_free=header_free)
    rows = list(csv.reader(io.StringIO(cgn(*paths, "-c", "bz2", "--csv", *options)[1])))
    assert rows[0] == ["", *paths]
    assert [row[0] for row in rows[1:]] == paths
    assert np.allclose([[float(value) for value in row[1:]] for row in rows[1:]], expected.matrix, atol=1e-6)
    report = json.loads(cgn(*paths, "-c", "bz2", "--json", *options)[1])
    assert report == {
        "compressor": "bz2",
        "symmetric": symmetric,
        "header_free": header_free,
        "files": [
            {"name": path, "bytes": size, "code_length_bits": length}
            for path, size, length in zip(paths, (632, 600, 768), expected.lengths, strict=True)
        ],
        "distances": expected.matrix.tolist(),
        "warning": None,
    }
    report = json.loads(cgn(*paths[:2], "-c", "bz2", "--json", *options)[1])
    assert report["ncd"] == report["distances"][0][1] == expected.matrix[0, 1]


def test_blindness_is_one_line_and_a_field(cgn: Cgn) -> None:
    code, out, said = cgn("noise", "noise", "third", "-c", "gzip")
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("cgn: gzip hardly sees a copy of noise (40000 bytes): its distance to itself is 0.999 and")
    assert "noise (2)" in out
    _, out, said = cgn("noise", "third", "-c", "gzip", "--json")
    assert said == f"cgn: {json.loads(out)['warning']}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["third"], "a distance needs two files; name another beside 'third'"),
        (["-", "-"], "standard input can be read once"),
        (["third", "one"], "'one' is a directory"),
        (["third", "none"], "'none' does not exist"),
        (["empty", "empty"], "the distance of two empty strings is not defined"),
        (["third", "noise", "--csv", "--json"], "give one of them"),
        (["third", "noise", "-j", "0"], "jobs"),
        (["third", "noise", "-o", "tree.jpg"], "must end in .png or .svg"),
        (["third", "noise", "-o", "noise.png"], "exists already; use --force"),
        (["third", "noise", "-c", "uniform"], "what codes with it is model:uniform"),
    ],
)
def test_what_cannot_be_measured_is_told_before_it_is(cgn: Cgn, arguments: list[str], said: str) -> None:
    Path("noise.png").write_bytes(b"")
    code, out, told = cgn(*arguments)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert said in told


def test_labels_tell_paths_apart_and_control_nothing() -> None:
    assert labels(["a/x", "a/y"]) == ["x", "y"]
    assert labels(["p/a/x", "p/b/x", "q"]) == ["a/x", "b/x", "q"]
    assert labels(["x", "x", "-"]) == ["x", "x (2)", "-"]
    assert labels(["a/x", "b/x", "a/x"]) == ["a/x", "b/x", "a/x (2)"]
    assert labels(["/", "/x", "bad\udcff\x1b[31m\n"]) == ["/", "x", "bad\ufffd␛[31m␊"]
    (long, other) = labels(["n" * 200, "m"])
    assert (long, other) == ("…" + 39 * "n", "m")


def test_a_picture_orders_files_by_clusters(cgn: Cgn) -> None:
    """The names of the SVG's rows: each kind together. Names are text: nothing of them is markup or TeX."""
    for module in ("matplotlib", "scipy"):
        pytest.importorskip(module)
    kinds = {"a": ENGLISH, "$\\frac$<b>&": OTHER, "漢": THIRD}
    names = [f"{kind}{number}" for number in range(3) for kind in kinds]
    for name in names:
        Path(name).write_bytes(kinds[name[:-1]] + name.encode())
    assert cgn(*names, "-o", "tree.svg", "--csv")[0] == 0
    svg = Path("tree.svg").read_text(encoding="utf-8")
    rows = [name for name in re.findall(r">([^<>\s]+)</text>", svg) if name[-1].isdigit() and not name[0].isdigit()]
    assert len(rows) == 9
    assert [len({name[:-1] for name in rows[i : i + 3]}) for i in (0, 3, 6)] == [1, 1, 1]
    assert "$\\frac$&lt;b&gt;&amp;" in svg
    assert cgn(*names, "-o", "tree.PNG")[0] == 0
    assert Path("tree.PNG").read_bytes().startswith(b"\x89PNG")
    assert cgn(*names, "-o", "tree.svg", "-f")[0] == 0
    assert Path("tree.svg").read_text(encoding="utf-8") == svg


def test_a_picture_of_equal_distances_is_drawn(cgn: Cgn) -> None:
    for module in ("matplotlib", "scipy"):
        pytest.importorskip(module)
    assert cgn("one/x", "two/x", "-c", "null", "-o", "two.png")[:2] == (0, "1.0000\n")
    assert cgn("empty", "one/x", "empty", "-c", "null", "-o", "three.png")[0] == 0


@pytest.mark.parametrize("module", ["matplotlib", "scipy"])
def test_a_picture_without_its_libraries_names_the_command(
    cgn: Cgn, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    code, out, said = cgn("third", "noise", "-o", "tree.png")
    assert (code, out) == (1, "")
    assert said == f"cgn: a picture of clusters needs {module}: pip install 'compgen[evaluation]'\n"
