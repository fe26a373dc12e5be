"""The studies beside the table: small ones, checked against what their words say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.evaluation import engines, report
from compgen.evaluation.run import Run, evaluate
from compgen.evaluation.studies import load_study
from tests.conftest import ROOT

HEAD = """
version = 1
study = "{study}"
title = "Small <b>& quick"
seed = 2
{more}
[[sets]]
name = "text"
paths = ["text"]
made = "text"
size = 70_000
[[rows]]
name = "gzip"
spec = "gzip"
[[rows]]
name = "counts"
spec = "backoff:order=2"
bytes = 2048
"""


def run(folder: Path, study: str, more: str, extra: str = "", data: bytes = b"") -> Run:
    (folder / "text").write_bytes(data)
    (folder / "c.toml").write_text(HEAD.format(study=study, more=more) + extra)
    root = str(folder) if data else None
    return evaluate(str(folder / "c.toml"), folder / "out", engines.engine("local", 1), root=root)


def test_context_gives_the_rate_of_every_length(tmp_path: Path, prose: bytes) -> None:
    result = run(tmp_path, "context", "lengths = [16, 1024]", data=prose)
    (table,) = result.study.tables(result.records)
    assert [row[0] for row in table.rows] == ["gzip", "counts", "counts, -log2 p"]
    gzip = COMPRESSORS.build("gzip")
    for column, length in ((1, 16), (2, 1024)):
        parts = [prose[i : i + length] for i in range(0, len(prose) - length + 1, length)]
        expected = 100 * sum(len(gzip.compress(part)) for part in parts) / sum(map(len, parts))
        assert table.rows[0][column] == pytest.approx(expected)
    assert all(isinstance(cell, float) and cell < 100 for cell in table.rows[2][1:])
    (figure,) = result.study.figures(result.records).values()
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sequence length, bytes", "raw rate, % of raw size")
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[16, 1024], [16, 1024]]


def test_corpora_are_in_bits_per_byte_beside_records(tmp_path: Path, prose: bytes) -> None:
    extra = '[[published]]\nname = "record"\nsource = "someone"\nbpb = { text = 0.5 }\n'
    result = run(tmp_path, "corpora", "", extra, data=prose)
    (table,) = result.study.tables(result.records)
    rate = 8 * len(COMPRESSORS.build("gzip").compress(prose)) / len(prose)
    counts = 8 * len(compgen.compress(prose, "backoff:order=2")) / len(prose)
    assert list(table.rows[0]) == ["text", len(prose), pytest.approx(rate), pytest.approx(counts), 0.5]
    assert list(table.rows[1][:3]) == ["mean", None, pytest.approx(rate)]


def test_generation_measures_what_sample_draws(tmp_path: Path) -> None:
    result = run(tmp_path, "generation", "prompts = 2\nprompt = 500\nlength = 40\nsamples = 3")
    real, counts = (
        next(one for one in result.records if one["row"] == row) for row in ("what really came next", "counts")
    )
    from compgen.evaluation.data import SetConfig, permutation

    data = SetConfig("text", made="text", size=70_000).open(None, 2)
    number = min(permutation(data.size // 540, 2, "text")[:2])
    whole = b"".join(piece.read() for piece in data.cut(540 * int(number), 540))
    drawn = compgen.sample("backoff:order=2", whole[:500], length=40, samples=3, seed=2)
    assert counts["own"] == pytest.approx(sum(one.surprisals.mean() for one in drawn) / 3)
    assert counts["real"] == pytest.approx(compgen.score("backoff:order=2", whole[500:], whole[:500]).derived_bpb)
    judge = COMPRESSORS.build("ppmd")
    assert real["judge"] == pytest.approx((judge.code_length(whole) - judge.code_length(whole[:500])) / 40)
    assert real["divergence"] == pytest.approx(0)
    (table,) = result.study.tables(result.records)
    assert table.rows[0][1:3] == (None, None)
    with pytest.raises(UsageError, match="prompts, prompt"):
        run(tmp_path, "generation", "prompts = 0")


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    result = run(tmp_path, "context", "lengths = [1024]")
    report.write(result)
    page = (tmp_path / "out/report.html").read_text()
    assert "Small &lt;b&gt;&amp; quick" in page
    assert "<b>" not in page
    assert "Made data stands for: text." in page
    assert page.count("<svg") == 1
    assert not re.search(r'(src|href)="(?!#)', page), "the page needs nothing else"
    assert (tmp_path / "out/figures/context.png").read_bytes().startswith(b"\x89PNG")
    report.write(result)
    assert (tmp_path / "out/report.html").read_text() == page
    assert "| gzip |" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_configs_of_the_project_are_read(path: Path) -> None:
    if "\nstudy = " in path.read_text():
        study, _ = load_study(str(path))
        assert study.title
        ignored = subprocess.run(
            ["git", "check-ignore", f"results/{path.stem}"], cwd=ROOT, capture_output=True, check=False
        )
        assert ignored.returncode in (0, 128)  # results are not committed; 128: outside git


@pytest.mark.filterwarnings("ignore")  # torch and transformers, importing
def test_scaling_finds_the_size_that_pays(tmp_path: Path, prose: bytes) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from compgen.training.config import Architecture
    from compgen.training.train import network

    extra, counts = "", {}
    for width in (16, 32):
        shape = Architecture(layers=1, width=width, heads=2, kv_heads=1, head_width=16, inner_width=32, context=40)
        torch.manual_seed(1)
        model = network(shape)
        model.save_pretrained(tmp_path / f"w{width}")
        counts[f"w{width}"] = sum(parameter.numel() for parameter in model.parameters())
        extra += f'[[rows]]\nname = "w{width}"\nspec = "llm:{tmp_path}/w{width}"\nbytes = 1024\ndecoded = 1\n'
    more = "lengths = [512]\ndata_bytes = [100_000, 1_000_000_000]"
    result = run(tmp_path, "scaling", more, extra, data=prose)
    (table,) = result.study.tables(result.records)
    lines = {str(row[0]): row for row in table.rows}
    for name, count in counts.items():
        record = next(record for record in result.records if record["row"] == name)
        assert (lines[name][1], record["decoded"]) == (count, 1)
        assert record["shipped"] == (tmp_path / name / "model.safetensors").stat().st_size
        raw = (record["written"] + record["once"]) / record["raw"]
        assert lines[name][3] == pytest.approx(100 * raw)
        assert lines[name][4] == pytest.approx(100 * (raw + 2 * count / 100_000))
    assert lines["gzip"][3:] == (lines["gzip"][3],) * 3
    assert lines["best"][4] in ("gzip", "counts")  # random weights pay for nothing
    (figure,) = result.study.figures(result.records).values()
    assert [len(np.asarray(line.get_xdata())) for line in figure.axes[0].lines] == [2, 2]
    with pytest.raises(UsageError, match="one length"):
        run(tmp_path, "scaling", "lengths = [512, 0]")
