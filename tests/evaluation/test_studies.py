"""Small runs of the studies beside the table, checked against independent computations of their figures."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import compgen
from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.evaluation import engines, report
from compgen.evaluation.run import Run, evaluate
from compgen.evaluation.shards import Record, TrainedShard
from compgen.evaluation.studies import load_study
from compgen.evaluation.studies.base import Place, Study
from compgen.evaluation.tables import Table
from compgen.models import load
from tests.conftest import ROOT


@dataclass(frozen=True)
class Mine(Study):
    """A study of another package."""

    word: str = "size"

    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return the raw size of each record."""
        return [Table("mine", "sizes", ("row", self.word), [(one["row"], one["raw"]) for one in records])]


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
    drawn = compgen.sample("backoff:order=2", whole[:500], length=40, samples=3, seed=2, allow="bytes")
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
    report_md = (tmp_path / "out/report.md").read_text()
    assert "| gzip |" in report_md
    assert re.search(r"\d{4}-\d\d-\d\d, .+ cores.*, commit .+, seed 2; \d+ s of work in \d+ shards", report_md)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_configs_of_the_project_are_read(path: Path) -> None:
    if "\nstudy = " in path.read_text():
        asked_for = tomllib.loads(path.read_text()).get("values", {})
        study, _ = load_study(str(path), {name: "./x" for name, value in asked_for.items() if not value})
        assert study.title
        ignored = subprocess.run(
            ["git", "check-ignore", f"results/{path.stem}"], cwd=ROOT, capture_output=True, check=False
        )
        assert ignored.returncode in (0, 128)  # results are not committed; 128: outside git


def test_studies_of_other_packages_are_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = "compgen.studies"
    targets = {"mine": "tests.evaluation.test_studies:Mine", "bad": "no_such_plugin:X", "other": "pathlib:Path"}
    points = [importlib.metadata.EntryPoint(name, target, group) for name, target in targets.items()]
    real = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda **chosen: points if chosen == {"group": group} else real(**chosen)
    )
    result = run(tmp_path, "mine", 'word = "bytes"', data=b"she sells sea shells")
    assert result.study.tables(result.records)[0].rows == [("gzip", 20), ("counts", 20)]
    for name, said in (
        ("mien", r"unknown study 'mien'; did you mean 'mine'"),
        ("bad", r"plugin study 'bad' \(no_such_plugin:X\) does not load"),
        ("other", r"plugin study 'other' \(pathlib:Path\) is not a subclass of .*Study"),
    ):
        with pytest.raises(UsageError, match=said) as raised:
            run(tmp_path, name, "")
        assert "c.toml" in str(raised.value)


TRAINED = """
version = 1
study = "{study}"
title = "Networks"
seed = 2
lengths = [256]
measured = 512
decoded = 1
{more}
[training]
bytes = 4096
batch = 4
[[sets]]
name = "text"
paths = ["text"]
[[sets]]
name = "other"
paths = ["other"]
[[networks]]
name = "large"
model = {{ layers = 1, width = 32, heads = 2, kv_heads = 1, head_width = 16, inner_width = 48, context = 32 }}
[[networks]]
name = "small"
model = {{ layers = 1, width = 16, heads = 2, kv_heads = 1, head_width = 8, inner_width = 24, context = 32 }}
[[rows]]
name = "gzip"
spec = "gzip"
"""


@pytest.fixture
def trained(tmp_path: Path, prose: bytes) -> Callable[..., Run]:
    """Return a function that runs a study which trains networks."""
    for module in ("torch", "transformers", "accelerate", "tokenizers"):
        pytest.importorskip(module)

    def run(study: str, more: str, out: str = "out", resume: bool = False) -> Run:
        (tmp_path / "text").write_bytes(prose[:4000])
        (tmp_path / "other").write_bytes(prose[4000:7000])
        (tmp_path / "c.toml").write_text(TRAINED.format(study=study, more=more))
        engine = engines.engine("local", 1)
        return evaluate(str(tmp_path / "c.toml"), tmp_path / out, engine, root=str(tmp_path), resume=resume)

    return run


@pytest.mark.filterwarnings("ignore")  # torch and transformers, importing
def test_scaling_trains_and_finds_the_size_that_pays(trained: Callable[..., Run], tmp_path: Path, prose: bytes) -> None:
    more = "data_bytes = [2048, 1_000_000_000]"
    result = trained("scaling", more)
    (table,) = result.study.tables(result.records)
    lines = {str(row[0]): row for row in table.rows}
    assert list(lines) == ["small", "large", "gzip", "best network", "best of all"]
    for name in ("small", "large"):
        folder = tmp_path / f"out/models/{name}-2048"
        count = load(f"llm:{folder}").parameters
        assert lines[name][1] == count
        # All of the 2,048 bytes it was trained on are too many: a sample of two chunks is coded, and as many held out.
        record = next(one for one in result.records if one["id"] == f"text, 2,048 bytes/{name}-2048")
        assert record["training"] == {
            "bytes": 2048, "steps": 32, "symbols": 4096, "vocabulary": 256, "bytes_per_symbol": 1.0
        }  # fmt: skip
        own, held_out = record["rates"]
        assert (own["raw"], own["decoded"], held_out["raw"], held_out["decoded"]) == (512, 1, 512, 1)
        raw = (own["written"] + own["once"]) / own["raw"]
        assert lines[name][2] == pytest.approx(100 * raw)
        assert lines[name][3] == pytest.approx(100 * (raw + 2 * count / 2048))
        assert own["bits"] < 0.95 * 8 * own["raw"], "32 steps are enough to leave 8 bits"
        # Of the second size there is less: all of it was trained on, and the rate counts as if there were more.
        assert lines[name][6] == pytest.approx(lines[name][5], abs=0.1)
        assert (
            next(one for one in result.records if one["id"].endswith(f"{name}-1000000000"))["training"]["bytes"] == 4000
        )
    rates = [[float(lines[name][column] or 0) for name in ("small", "large")] for column in (3, 6)]
    assert lines["best network"][3:7:3] == tuple(("small", "large")[int(np.argmin(pair))] for pair in rates)
    assert lines["best of all"][3] == "gzip"
    figures = result.study.figures(result.records)
    assert [len(np.asarray(line.get_xdata())) for line in figures["scaling"].axes[0].lines] == [2, 2]
    assert len(figures["scaling-data"].axes[0].lines) == 3

    before = (tmp_path / "out/results.jsonl").read_bytes()
    (tmp_path / "out/results.jsonl").write_bytes(before[: len(before) // 2])
    trained("scaling", more, resume=True)
    assert (tmp_path / "out/results.jsonl").read_bytes() == before


@pytest.mark.filterwarnings("ignore")
def test_tokenisation_counts_bits_per_byte_of_the_same_text(trained: Callable[..., Run], tmp_path: Path) -> None:
    result = trained("tokenisation", "vocabularies = [256, 300]")
    (table,) = result.study.tables(result.records)
    assert [row[:2] for row in table.rows] == [
        ("large", "bytes"), ("large", "BPE 300"), ("small", "bytes"), ("small", "BPE 300"), ("gzip", "")
    ]  # fmt: skip
    tokens = next(one for one in result.records if one["id"] == "text/small-300")
    assert 1.2 < tokens["training"]["bytes_per_symbol"] < 3
    assert tokens["training"]["symbols"] * tokens["training"]["bytes_per_symbol"] == pytest.approx(4096, rel=0.05)
    (rate,) = tokens["rates"]
    assert rate["decoded"] == 1
    # The bits are those of the tokens, each by transformers' own forward of what the window then holds: 16 to 32.
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "out/models/small-300"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (shard,) = (
        one for one in result.study.plan(Place(str(tmp_path), 0, str(tmp_path / "out"))) if one.id == tokens["id"]
    )
    assert isinstance(shard, TrainedShard)
    bits = 0.0
    for pieces in shard.rates[0].chunks:
        context: list[int] = []
        for token in tokenizer.encode(b"".join(piece.read() for piece in pieces).decode(), add_special_tokens=False):
            with torch.no_grad():
                logits = model(torch.tensor([[tokenizer.bos_token_id, *context]])).logits[0, -1].double()
            logits[tokenizer.bos_token_id] = -torch.inf
            bits -= float(logits.log_softmax(-1)[token]) / np.log(2)
            context = [*context, token][-16 if len(context) == 31 else -32 :]
    assert rate["bits"] == pytest.approx(bits, rel=1e-3)
    line = next(row for row in table.rows if row[:2] == ("small", "BPE 300"))
    assert line[6] == pytest.approx(rate["bits"] / rate["raw"])
    (figure,) = result.study.figures(result.records).values()
    assert [np.asarray(axis.get_xdata()).tolist() for axis in figure.axes[0].lines] == [[256, 300]] * 2


@pytest.mark.parametrize(
    ("study", "change", "said"),
    [
        ("scaling", ("lengths = [256]", "lengths = [256, 0]"), "one length"),
        ("scaling", ("measured = 512", "measured = 0"), "1 byte or more"),
        ("scaling", ("measured = 512", "measured = 512\ndata_bytes = [5]"), "256 or more"),
        ("tokenisation", ("measured = 512", "measured = 512\nvocabularies = [100]"), "256, for bytes"),
        ("tokenisation", ("bytes = 4096", "bytes = 4096\nrate = 1"), "no key 'rate'"),
        ("tokenisation", ('name = "small"', 'name = "large"'), "each its own"),
    ],
)
def test_a_wrong_study_of_networks_is_said(tmp_path: Path, study: str, change: tuple[str, str], said: str) -> None:
    (tmp_path / "c.toml").write_text(TRAINED.format(study=study, more="").replace(*change))
    with pytest.raises(UsageError, match=said):
        load_study(str(tmp_path / "c.toml"))


def test_networks_that_cannot_be_trained_here_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    (tmp_path / "c.toml").write_text(TRAINED.format(study="scaling", more=""))
    for name in ("text", "other"):
        (tmp_path / name).write_bytes(bytes(3000))
    result = evaluate(str(tmp_path / "c.toml"), tmp_path / "out", engines.engine("local", 1), root=str(tmp_path))
    (table,) = result.study.tables(result.records)
    (note,) = [note for note in table.notes if "large is not installed: training needs torch" in note]
    assert "pip install 'compgen[llm]'" in note
