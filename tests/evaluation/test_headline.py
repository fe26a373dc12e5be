"""The study ``headline``: both accountings of one model, the kept bit, the position in the chunk, values in configs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compgen.cli import run as cgn
from compgen.errors import UsageError
from compgen.evaluation import engines
from compgen.evaluation.accounting import dropped_bytes, seven_bits
from compgen.evaluation.run import Run, evaluate
from compgen.evaluation.shards import CountedShard, positions
from compgen.evaluation.studies import load_study
from compgen.models import load
from tests.conftest import ROOT

CONFIG = """
version = 1
study = "headline"
title = "One model of {kind}"
seed = 2
lengths = [512]
decoded = 1
[values]
kind = ""
order = "2"
[[sets]]
name = "text"
paths = ["text.txt"]
mapping = "clear"
paper = "enwik9"
[[sets]]
name = "noise"
loader = "random"
size = 5000
[[rows]]
name = "gzip"
spec = "gzip"
bytes = 2048
paper = "gzip"
[[rows]]
name = "{kind}"
spec = "{kind}:order={order}"
bytes = 2048
coded = 512
shard = 1024
paper = "Chinchilla 1B"
"""


def run(folder: Path, prose: bytes, **values: str) -> Run:
    (folder / "text.txt").write_bytes(prose.replace(b"e", "\u00e9".encode()))
    (folder / "c.toml").write_text(CONFIG)
    return evaluate(str(folder / "c.toml"), folder / "out", engines.engine("local", 1), root=str(folder), values=values)


def chunks(result: Run, row: str) -> list[bytes]:
    """The chunks of the text that a row is counted on."""
    from compgen.evaluation.studies.base import Place

    plan = result.study.plan(Place(result.provenance["root"]))
    return [
        b"".join(piece.read() for piece in pieces)
        for shard in plan
        if isinstance(shard, CountedShard) and (shard.set, shard.row) == ("text", row)
        for pieces in shard.chunks
    ]


def bits_of(spec: str, data: bytes) -> list[float]:
    state, found = load(spec).start([b""]), []
    for symbol in data:
        found.append(-float(state.log2_probs()[0, symbol]))
        state.extend(np.array([symbol], dtype=np.uint8))
    return found


def test_a_model_is_counted_both_ways_and_by_position(tmp_path: Path, prose: bytes) -> None:
    result = run(tmp_path, prose, kind="backoff")
    tables = {table.name: table for table in result.study.tables(result.records)}
    line = next(row for row in tables["headline"].rows if row[1] == "backoff")
    parts = chunks(result, "backoff")
    assert len(parts) == 4
    mapped = [seven_bits(part, "clear") for part in parts]
    costs = [bits_of("backoff:order=2", data) for data, _ in mapped]
    sizes = np.array([math.ceil(sum(cost) / 8) for cost in costs])
    scale = 8 * 2048 / (8 * 2048 - sum(lost for _, lost in mapped))
    assert line[2] == pytest.approx(100 * scale * sizes.sum() / 2048)
    assert line[3] == pytest.approx(100 * scale * sizes.std(ddof=1) / 2 / 512)
    dropped = [math.ceil((math.log2(513) + math.log2(math.comb(512, lost))) / 8) for _, lost in mapped]
    assert line[4] == pytest.approx(100 * (sizes.sum() + sum(dropped)) / 2048)
    written = result.study.rates(result.records)["backoff", "text", 512]
    assert (written.raw, written.decoded, written.counted) == (512, 1, 2048)
    assert line[5] == pytest.approx(100 * written.honest)
    assert line[6] == 11.3  # the paper's, of Chinchilla 1B
    assert line[-3:] == (4, 1, 1)
    edges = positions(512)
    assert edges == [16, 32, 64, 128, 256, 512]
    found = tables["positions-text"].rows[0]
    for begin, end, rate in zip([0, *edges], edges, found[1:], strict=False):
        bits = sum(sum(cost[begin:end]) for cost in costs)
        assert rate == pytest.approx(100 * scale * bits / 8 / (end - begin) / 4, abs=1e-3)
    figures = result.study.figures(result.records)
    assert set(figures) == {"rates", "positions"}


def test_what_is_slowest_comes_last_and_sets_advance_side_by_side(tmp_path: Path, prose: bytes) -> None:
    ids = [record["id"] for record in run(tmp_path, prose, kind="backoff").records]
    assert ids == [
        "text/gzip/512/0", "text/backoff/512/counted/0", "noise/gzip/512/0", "noise/backoff/512/counted/0",
        "text/backoff/512/counted/1", "noise/backoff/512/counted/1", "text/backoff/512/0", "noise/backoff/512/0",
    ]  # fmt: skip


def test_values_are_asked_for_and_known(tmp_path: Path, prose: bytes) -> None:
    with pytest.raises(UsageError, match="lacks a value: give it by --set kind="):
        run(tmp_path, prose)
    with pytest.raises(UsageError, match="no value 'kond' to set; did you mean 'kind'"):
        run(tmp_path, prose, kond="backoff")
    assert load_study(str(tmp_path / "c.toml"), {"kind": "backoff"})[0].title == "One model of backoff"
    odd = load_study(str(tmp_path / "c.toml"), {"kind": "backoff", "order": "2,a=b"})[0]
    assert odd.rows[1].spec == 'backoff:order="2,a=b"'
    run(tmp_path, prose, kind="backoff")
    with pytest.raises(UsageError, match="different config"):
        evaluate(
            str(tmp_path / "c.toml"),
            tmp_path / "out",
            engines.engine("local", 1),
            root=str(tmp_path),
            values={"kind": "backoff", "order": "1"},
            resume=True,
        )


@pytest.mark.parametrize(
    ("setting", "said"),
    [("model", "--set takes NAME=VALUE"), ("=x", "--set takes"), ("modl=x", "did you mean 'model'")],
)
def test_a_wrong_setting_is_said_in_a_line(setting: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cgn(["evaluate", str(ROOT / "configs/table1_llm.toml"), "--set", setting]) == 2
    assert said in capsys.readouterr().err


def test_dropped_bits_are_paid_for() -> None:
    data = bytes(range(256)) * 2
    assert dropped_bytes(data, "shift") == 64
    assert dropped_bytes(bytes(512), "clear") == 2  # log2(513) bits say that none is set
    assert dropped_bytes(data, "clear") >= 64 - 1
    assert dropped_bytes(data[:1], "shift") == 1


def test_any_language_model_and_the_users_own_text(tmp_path: Path, prose: bytes) -> None:
    """configs/recent.toml, with a tiny model: a folder of the user's own, beside made data."""
    pytest.importorskip("transformers")
    from tests.neural import tiny

    folder = tmp_path / "no, tes"
    folder.mkdir()
    (folder / "a.md").write_bytes(prose)
    (folder / "b.png").write_bytes(b"no text")
    model = tiny.make("llama", tmp_path / "a model, so named")
    config = (ROOT / "configs/recent.toml").read_text()
    for long, short in (("[2048]", "[256]"), ("32_768", "512"), ("8192", "512"), ("coded = 2048", "coded = 256")):
        config = config.replace(long, short)
    (tmp_path / "c.toml").write_text(
        config[: config.index('[[rows]]\nname = "llm')] + config[config.rindex("[[rows]]") :]
    )
    out = tmp_path / "out"
    values = {"model": str(model), "folder": str(folder), "name": "tiny"}
    result = evaluate(str(tmp_path / "c.toml"), out, engines.engine("local", 1), values=values, limit=1)
    assert result.provenance["identity"]["data"]["recent"] == {
        "bytes": len(prose), "made": False, "listing": result.provenance["identity"]["data"]["recent"]["listing"],
    }  # fmt: skip
    assert result.provenance["identity"]["data"]["book of 1865"]["made"]
    counted: Sequence[dict[str, int]] = [r for r in result.records if r["row"] == "tiny" and "symbols" in r]
    assert [one["counted"] for one in counted] == [256] * 3
    assert all(one["symbols"] < 256 for one in counted)
    (table, *_) = result.study.tables(result.records)
    assert any("tokens of a chunk" in note for note in table.notes)
    assert any("parameters add" in note for note in table.notes)
    assert json.loads((out / "run.json").read_text())["identity"]["compressors"]["tiny"][0].startswith('llm:"')
