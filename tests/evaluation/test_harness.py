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
from compgen.models import load

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


def test_equal_requests_get_texts_of_their_own(harness: Any) -> None:
    """As many as the harness asks for by ``repeats``; each depends on its request, and not on the others."""
    options = {"max_gen_toks": 12, "do_sample": True, "temperature": 1.0}
    model = harness.CompgenLM("backoff:order=1")
    drawn = model.generate_until([ask(PROMPT, options)] * 4, True)
    assert len(set(drawn)) == 4
    others = [
        ask(PROMPT + "x", options),
        ask(PROMPT, options),
        ask(PROMPT, options | {"top_k": 3}),
        ask(PROMPT, options),
    ]
    assert model.generate_until(others, True)[1::2] == drawn[:2]
    greedy = model.generate_until([ask(PROMPT, {"max_gen_toks": 12})] * 2, True)
    assert greedy[0] == greedy[1]


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({}, 256),
        ({"max_gen_toks": None}, 256),
        ({"max_gen_toks": 5}, 5),
        ({"max_new_tokens": 6}, 6),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 8}, 8),
        ({"max_gen_toks": 0}, 0),
        ({"max_new_tokens": 0, "do_sample": True}, 0),
        ({"max_gen_toks": "9", "max_tokens": 3}, 9),
    ],
)
def test_lengths_are_what_the_harness_says(harness: Any, options: dict[str, Any], length: int) -> None:
    (made,) = harness.CompgenLM("backoff:order=1").generate_until([ask("abc ", options)], True)
    assert len(made.encode()) == length


@pytest.mark.parametrize(
    ("options", "shaping"),
    [
        ({}, {"temperature": 0.0}),
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"temperature": 0.7, "do_sample": False}, {"temperature": 0.0}),
        ({"do_sample": True}, {"temperature": 1.0}),
        ({"do_sample": True, "temperature": 0.0}, {"temperature": 0.0}),
        ({"do_sample": True, "temperature": 2, "top_k": 3}, {"temperature": 2.0, "top_k": 3}),
        ({"temperature": 1.0, "top_k": 0, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}),
        ({"temperature": 1.0, "top_k": -1, "top_p": None, "min_p": 0.1}, {"temperature": 1.0, "min_p": 0.1}),
        ({"top_k": 3, "top_p": 0.5}, {"temperature": 0.0}),
    ],
)
def test_shaping_is_what_the_harness_says(
    harness: Any, options: dict[str, Any], shaping: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def sample(*arguments: Any, **named: Any) -> Any:
        asked.append(named)
        return compgen.sample(*arguments, **named)

    monkeypatch.setattr(harness, "sample", sample)
    harness.CompgenLM("backoff:order=1").generate_until([ask(PROMPT, options | {"max_gen_toks": 3})], True)
    del asked[0]["seed"]
    assert asked == [{"length": 3, "stop": [], **shaping}]


def test_an_option_that_there_is_not_is_told_once(harness: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "lm_eval.compgen")
    requests = [ask("abc ", {"max_gen_toks": 3, "repetition_penalty": 1.7, "num_beams": 4})] * 2
    harness.CompgenLM("backoff:order=1").generate_until(requests, True)
    assert [record.getMessage() for record in caplog.records] == [
        "compgen has no num_beams, repetition_penalty; generation goes on without"
    ]


@pytest.mark.parametrize("until", [None, "", [], [""], ["", "\n\n\ud800"], ("",)])
def test_empty_stops_stop_nothing(harness: Any, until: Any) -> None:
    (made,) = harness.CompgenLM("backoff:order=1").generate_until(
        [ask("abc ", {"until": until, "max_gen_toks": 20})], True
    )
    assert len(made) == 20


def test_halves_of_surrogate_pairs_are_scored_and_continued(harness: Any) -> None:
    model = harness.CompgenLM("gzip:rule=one-step")
    text = "half an emoji: \ud83d"
    (found,) = model.loglikelihood_rolling([ask(text)], True)
    expected = compgen.score("gzip:rule=one-step", b"half an emoji: \xed\xa0\xbd").surprisals.sum()
    assert found == pytest.approx(-expected * math.log(2))
    assert model.loglikelihood([ask(text, text)], True)[0][0] < 0
    assert len(model.generate_until([ask(text, {"max_gen_toks": 4, "until": ["\udc00"]})], True)) == 1


def test_batches_as_large_as_serve(harness: Any) -> None:
    def rows(*arguments: Any, **named: Any) -> int:
        found: int = harness.CompgenLM(*arguments, **named).rows
        return found

    assert rows("gzip", batch_size="auto") == rows("gzip", batch_size="auto:4") == rows("gzip") == 1
    assert rows("gzip", batch_size="8") == rows("gzip", batch_size=8, max_batch_size=64) == 8
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    assert rows("llm", batch_size="auto") == load("llm").most_lanes  # type: ignore[attr-defined]
    assert rows("llm", batch_size="auto", max_batch_size=16) == 16
    texts = [ask(PROMPT[:n]) for n in (3, 40, 0, 17)]
    one, auto = (harness.CompgenLM("llm", batch_size=size).loglikelihood_rolling(texts, True) for size in (1, "auto"))
    assert one == pytest.approx(auto)


def test_what_is_wrong_is_said(harness: Any) -> None:
    with pytest.raises(CompgenError, match="did you mean 'gzip'"):
        harness.CompgenLM("gzipp")
    for size in ("many", "0", "-1", "1.5"):
        with pytest.raises(UsageError, match="batch_size"):
            harness.CompgenLM("gzip", batch_size=size)
    with pytest.raises(UsageError, match="top-p"):
        harness.CompgenLM("gzip").generate_until([ask("a", {"temperature": 1.0, "top_p": 2})], True)


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
GENERATION = """
task: cgn_generation
dataset_path: json
dataset_kwargs: {data_files: {test: PROMPTS}}
test_split: test
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: ""
repeats: 3
generation_kwargs: {do_sample: true, temperature: 0.9, max_new_tokens: 9, until: [""]}
filter_list: [{name: all, filter: [{function: take_first_k, k: 3}]}]
metric_list: [{metric: exact_match}]
"""


def test_texts_that_the_harness_asks_for(harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    (tmp_path / "PROMPTS").write_text((json.dumps({"text": PROMPT}) + "\n") * 2)
    (tmp_path / "t.yaml").write_text(GENERATION.replace("PROMPTS", str(tmp_path / "PROMPTS")))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)

    def run(seed: int, **options: Any) -> list[list[str]]:
        results = lm_eval.simple_evaluate(
            model="compgen",
            model_args=f"compressor=backoff:order=1,seed={seed}",
            tasks=["cgn_generation"],
            task_manager=manager,
            batch_size="auto",
            bootstrap_iters=0,
            **options,
        )
        return [responses for sample in results["samples"]["cgn_generation"] for responses in sample["resps"]]

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert [len(responses) for responses in first] == [3, 3]
    assert len({text for responses in first + other for text in responses}) == 12
    with pytest.raises(UsageError, match="no chat template; leave --apply_chat_template out"):
        run(1, apply_chat_template=True)


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
