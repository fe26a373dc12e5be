"""compgen in the lm-evaluation-harness: its three kinds of request, and two tasks made here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import compgen
from compgen.errors import CompgenError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # the harness and what it imports

PROMPT = "she sells sea shells by the sea shore; " * 6


@pytest.fixture(scope="module")
def harness() -> Any:
    pytest.importorskip("lm_eval")
    from compgen.evaluation import harness

    return harness


def ask(*arguments: Any) -> SimpleNamespace:
    return SimpleNamespace(args=arguments)


@pytest.mark.parametrize("rule", ["calibrated", "decoder", "one-step"])
def test_likelihoods_are_the_scores(harness: Any, rule: str) -> None:
    model = harness.CompgenLM("gzip", rule=rule, batch_size=3)
    texts = ["she sells", "qwxz", "é", "sea"]
    answers = model.loglikelihood([ask(PROMPT, text) for text in texts], disable_tqdm=True)
    for text, (found, _) in zip(texts, answers, strict=True):
        expected = -compgen.score("gzip", text, PROMPT, rule=rule).surprisals.sum() * math.log(2)
        assert found == pytest.approx(expected)
    assert answers[0][0] > answers[1][0]
    rolling = model.loglikelihood_rolling([ask("sea shells, sea shells")], disable_tqdm=True)
    assert rolling == [
        pytest.approx(-compgen.score("gzip", "sea shells, sea shells", rule=rule).surprisals.sum() * math.log(2))
    ]


def test_greedy_is_told(harness: Any) -> None:
    model = harness.CompgenLM("backoff:order=5")
    prompt = "pack my box with five dozen jugs; " * 4
    drawn = model.generate_until([ask(prompt, {"until": ["dozen"], "max_gen_toks": 30})], disable_tqdm=True)
    assert drawn == ["pack my box with five "]
    (_, greedy), (_, other) = model.loglikelihood(
        [ask(prompt, drawn[0]), ask(prompt, "pack my fox")], disable_tqdm=True
    )
    assert greedy
    assert not other


def test_sampling_takes_the_seed(harness: Any) -> None:
    options = {"max_gen_toks": 12, "do_sample": True, "temperature": 1.0}
    drawn = [
        harness.CompgenLM("backoff:order=1", seed=seed).generate_until([ask(PROMPT, options)], True)
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_wrong_is_said(harness: Any) -> None:
    with pytest.raises(CompgenError, match="did you mean 'gzip'"):
        harness.CompgenLM("gzipp")
    with pytest.raises(UsageError, match="batch_size"):
        harness.CompgenLM("gzip", batch_size="auto")


CHOICE = """
task: cgn_choice
dataset_path: json
dataset_kwargs: {data_files: {test: CHOICES}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
"""
PERPLEXITY = """
task: cgn_perplexity
dataset_path: json
dataset_kwargs: {data_files: {test: TEXTS}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: bits_per_byte}]
"""


def test_tasks_made_here_run_on_gzip_and_a_language_model(
    harness: Any, tmp_path: Path, prose: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    text = prose.decode()[:300]
    choices = [{"text": text + text[:40], "choices": [text[40:50], "qzx vkw jj"], "answer": 0} for _ in range(2)]
    for name, lines, task in (("CHOICES", choices, CHOICE), ("TEXTS", [{"text": text}], PERPLEXITY)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        (tmp_path / f"{name}.yaml").write_text(task.replace(name, str(tmp_path / name)))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    found = {}
    for spec in ("gzip:rule=one-step", "gzip:rule=calibrated", "llm"):
        results = lm_eval.simple_evaluate(
            model="compgen",
            model_args={"compressor": spec},
            tasks=["cgn_choice", "cgn_perplexity"],
            task_manager=manager,
            batch_size=2,
            bootstrap_iters=0,
        )["results"]
        assert results["cgn_choice"]["acc,none"] == 1.0
        found[spec] = results["cgn_perplexity"]["bits_per_byte,none"]
        assert found[spec] == pytest.approx(compgen.score(spec, text).derived_bpb)
    assert found["llm"] < found["gzip:rule=calibrated"] < found["gzip:rule=one-step"]
