"""Compressors as models of transformers': ``generate()`` and its processors follow the model's own distribution."""

from __future__ import annotations

import copy
import functools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import GenerationConfig

import compgen
from compgen.errors import UsageError
from compgen.models import load
from compgen.neural.generate import END, ByteCausalLM

SPEC = "backoff:order=3"


def tokens(*texts: bytes) -> torch.Tensor:
    return torch.tensor([list(text) for text in texts])


def greedy(spec: str, prompt: bytes, length: int) -> bytes:
    state = load(spec).start([prompt])
    made = b""
    for _ in range(length):
        symbol = state.log2_probs().argmax(axis=1).astype(np.uint8)
        made += bytes(symbol)
        state.extend(symbol)
    return made


@pytest.mark.parametrize("spec", [SPEC, "gzip:rule=calibrated", "gzip:rule=decoder"])
def test_greedy_generation_follows_the_distribution(spec: str, prose: bytes) -> None:
    model, prompt = ByteCausalLM.over(spec), prose[:600]
    made = model.generate(tokens(prompt), max_new_tokens=12, do_sample=False)
    assert bytes(made[0].tolist()) == prompt + greedy(spec, prompt, 12)


def test_rows_of_different_lengths_are_padded_to_the_left(prose: bytes) -> None:
    model, short, long = ByteCausalLM.over(SPEC), prose[:50], prose[100:400]
    padded = torch.full((2, len(long)), END)
    padded[0, -len(short) :], padded[1] = tokens(short)[0], tokens(long)[0]
    made = model.generate(padded, attention_mask=padded != END, max_new_tokens=8, do_sample=False)
    assert [bytes(row.tolist()) for row in made[:, len(long) :]] == [greedy(SPEC, text, 8) for text in (short, long)]


def test_beams_find_what_is_likelier_than_greedy(prose: bytes) -> None:
    model, prompt = ByteCausalLM.over(SPEC), prose[:700]
    beams = model.generate(tokens(prompt), max_new_tokens=10, num_beams=4, do_sample=False, length_penalty=0.0)
    found = bytes(beams[0, len(prompt) :].tolist())

    def bits(text: bytes) -> float:
        state, total = load(SPEC).start([prompt]), 0.0
        for symbol in text:
            total -= float(state.log2_probs()[0, symbol])
            state.extend(np.array([symbol], dtype=np.uint8))
        return total

    assert len(found) == 10
    assert bits(found) <= bits(greedy(SPEC, prompt, 10)) + 1e-6


def test_logits_processors_and_sampling_work(prose: bytes) -> None:
    model = ByteCausalLM.over(SPEC)
    torch.manual_seed(1)
    drawn = model.generate(
        tokens(prose[:300]),
        max_new_tokens=30,
        do_sample=True,
        top_k=40,
        num_return_sequences=3,
        suppress_tokens=[ord("e"), ord(" ")],
    )[:, 300:]
    assert drawn.shape == (3, 30)
    assert len({tuple(row.tolist()) for row in drawn}) == 3
    assert not torch.isin(drawn, torch.tensor([ord("e"), ord(" "), END])).any()


def test_a_stop_ends_one_row_and_not_the_other(prose: bytes) -> None:
    model = ByteCausalLM.over(SPEC)
    made = model.generate(
        tokens(prose[:200], prose[300:500]), max_new_tokens=40, do_sample=False, eos_token_id=ord(" ")
    )
    for row, prompt in zip(made, (prose[:200], prose[300:500]), strict=True):
        text = greedy(SPEC, prompt, 40)
        wanted = text[: text.index(b" ") + 1]
        assert bytes(row[200 : 200 + len(wanted)].tolist()) == wanted
        assert set(row[200 + len(wanted) :].tolist()) <= {END}


def test_it_is_saved_and_loaded_by_its_spec(tmp_path: Path, prose: bytes) -> None:
    ByteCausalLM.over(SPEC).save_pretrained(tmp_path)
    again = ByteCausalLM.from_pretrained(tmp_path)
    logits = again(tokens(prose[:100])).logits[0, -1, :256]
    expected = load(SPEC).start([prose[:100]]).log2_probs()[0] * np.log(2)
    assert np.allclose(logits.numpy(), expected, atol=1e-5)
    with pytest.raises(UsageError, match="0 to 255"):
        again(torch.tensor([[300]]))


def test_logits_and_loss_of_all_positions(prose: bytes) -> None:
    model, text = ByteCausalLM.over(SPEC), prose[:60]
    output = model(tokens(text), labels=tokens(text))
    assert output.logits.shape == (1, 60, 257)
    expected = [load(SPEC).start([text[: n + 1]]).log2_probs()[0] * np.log(2) for n in range(60)]
    assert np.allclose(output.logits[0, :, :256], expected, atol=1e-5)
    assert (output.logits.softmax(2)[..., END] == 0).all()
    scored = compgen.score(SPEC, text[1:], text[:1])
    assert float(output.loss) == pytest.approx(scored.surprisals.mean() * np.log(2), rel=1e-5)
    assert torch.equal(model(tokens(text), logits_to_keep=7).logits, output.logits[:, -7:])
    loss, logits = model(tokens(text), labels=tokens(text), return_dict=False)
    assert (float(loss), logits.shape) == (float(output.loss), (1, 60, 257))
    labels = tokens(text)
    labels[:, 1:50] = -100
    assert float(model(tokens(text), labels=labels).loss) == pytest.approx(
        scored.surprisals[49:].mean() * np.log(2), rel=1e-5
    )


def test_padding_is_no_part_of_a_text_on_either_side(prose: bytes) -> None:
    model, texts = ByteCausalLM.over(SPEC), [prose[:20], prose[30:60], b""]
    alone = [model(tokens(text)).logits[0] for text in texts[:2]]
    for left in (True, False):
        padded = torch.full((3, 30), END)
        for row, text in zip(padded, texts, strict=True):
            row[slice(30 - len(text), 30) if left else slice(0, len(text))] = torch.tensor(
                list(text), dtype=torch.int64
            )
        for mask in (None, padded != END):  # it need not be told
            logits = model(padded, attention_mask=mask).logits
            for row, one in zip(logits, alone, strict=False):
                assert torch.equal(row[30 - len(one) :] if left else row[: len(one)], one)
            assert torch.equal(logits[0, 0 if left else 29], logits[2, 0] if left else alone[0][-1])
    made = model.generate(torch.full((1, 1), END), max_new_tokens=9, do_sample=False)
    assert bytes(made[0, 1:].tolist()) == greedy(SPEC, b"", 9)
    assert torch.equal(model.generate(max_new_tokens=9, do_sample=False), made)


def test_an_end_inside_a_text_is_refused(prose: bytes) -> None:
    model, inside = ByteCausalLM.over(SPEC), torch.tensor([[*b"she sells", END, *b"sea shells"]])
    for use in (model.forward, functools.partial(model.generate, max_new_tokens=3)):
        with pytest.raises(UsageError, match="bytes follow token 256"):
            use(inside)
    without = model.generate(inside, attention_mask=inside != END, max_new_tokens=5, do_sample=False)
    assert bytes(without[0, -5:].tolist()) == greedy(SPEC, b"she sellssea shells", 5)


def guided(scale: float, prompt: bytes, negative: bytes, length: int) -> bytes:
    """The formula of classifier-free guidance (arXiv 2306.17806), greedily."""
    states, made = [load(SPEC).start([text]) for text in (prompt, negative)], b""
    for _ in range(length):
        towards, away = (state.log2_probs()[0] for state in states)
        made += bytes([int((away + scale * (towards - away)).argmax())])
        for state in states:
            state.extend(np.frombuffer(made[-1:], dtype=np.uint8))
    return made


def test_guidance_is_followed(prose: bytes) -> None:
    model, prompts = ByteCausalLM.over(SPEC), (prose[:300], prose[300:600])
    for scale in (0.0, 0.5, 3.0):
        made = model.generate(tokens(*prompts), max_new_tokens=12, do_sample=False, guidance_scale=scale)
        for row, prompt in zip(made, prompts, strict=True):
            assert bytes(row[300:].tolist()) == guided(scale, prompt, prompt[-1:], 12)
    for negative in (tokens(b"the sea"), tokens(b"the sea", b"the sea")):
        options: dict[str, Any] = {"negative_prompt_ids": negative, "max_new_tokens": 12, "do_sample": False}
        for use_cache in (False, True):
            made = model.generate(tokens(*prompts), guidance_scale=2.5, use_cache=use_cache, **options)
            assert bytes(made[1, 300:].tolist()) == guided(2.5, prompts[1], b"the sea", 12)
    config = GenerationConfig(guidance_scale=2.5, max_new_tokens=12, do_sample=False, use_cache=True)
    made = model.generate(tokens(*prompts), config, negative_prompt_ids=tokens(b"the sea"))
    assert bytes(made[1, 300:].tolist()) == guided(2.5, prompts[1], b"the sea", 12)
    several = model.generate(
        tokens(prompts[0]),
        max_new_tokens=4,
        do_sample=True,
        num_return_sequences=3,
        guidance_scale=2.0,
        negative_prompt_ids=tokens(b"no"),
    )
    assert several.shape == (3, 304)
    assert (several < END).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"assistant_model": "another"}, "assistant_model .* cache of keys and values"),
        ({"prompt_lookup_num_tokens": 3}, "prompt_lookup_num_tokens .* cache"),
        ({"generation_config": GenerationConfig(prompt_lookup_num_tokens=3)}, "prompt_lookup_num_tokens .* cache"),
        ({"past_key_values": ()}, "past_key_values .* cache"),
        ({"cache_implementation": "static"}, "cache_implementation .* cache"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "penalty_alpha .* inside a network"),
        ({"dola_layers": "low"}, "dola_layers .* inside"),
        ({"output_hidden_states": True}, "output_hidden_states .* inside"),
        ({"inputs_embeds": torch.zeros(1, 2, 3)}, "inputs_embeds .* inside"),
        ({"guidance_scale": 1.5, "num_beams": 3}, "guidance_scale .* beams"),
        ({"negative_prompt_ids": tokens(b"no")}, "without guidance_scale"),
        ({"guidance_scale": 2.0, "negative_prompt_ids": tokens(b"no", b"no")}, "as many rows"),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_refused(options: dict[str, Any], words: str, prose: bytes) -> None:
    with pytest.raises(UsageError, match=words):
        ByteCausalLM.over(SPEC).generate(tokens(prose[:50]), **{"max_new_tokens": 3, "do_sample": False} | options)


def test_what_forward_cannot_follow_is_refused() -> None:
    model, ids = ByteCausalLM.over(SPEC), tokens(b"sea")
    for options, words in (
        ({"past_key_values": object()}, "cache of keys"),
        ({"output_attentions": True}, "inside a network"),
        ({"position_ids": ids}, "attention_mask"),
        ({"unheard_of": 1}, "no such input"),
        ({"attention_mask": torch.ones(1, 2)}, r"attention_mask must be \(1, 3\)"),
        ({"labels": torch.tensor([[1, 2, END]])}, "-100"),
        ({"labels": tokens(b"sea"), "logits_to_keep": 1}, "labels must be"),
    ):
        with pytest.raises(UsageError, match=words):
            model(ids, **options)
    for wrong in (torch.tensor([1, 2]), torch.rand(1, 3), torch.tensor([[-1]]), torch.tensor([[257]])):
        with pytest.raises(UsageError, match="input_ids"):
            model(wrong)
    model(ids, use_cache=True, output_attentions=False, past_key_values=None)


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": True, "temperature": 1e-9},
        {"do_sample": True, "temperature": 1e6, "top_k": 257},
        {"do_sample": True, "typical_p": 0.5},
        {"do_sample": True, "eta_cutoff": 1e-3},
        {"do_sample": True, "num_return_sequences": 3},
        {"num_beams": 4, "num_return_sequences": 4, "renormalize_logits": True},
        {"num_beams": 3, "do_sample": True},
        {"repetition_penalty": 1.7, "encoder_repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
        {"bad_words_ids": [[ord(" ")]], "sequence_bias": [[[ord("e")], -4.0]]},
        {"watermarking_config": {"bias": 2.5}},
        {"use_cache": True},
    ],
    ids=str,
)
def test_no_option_gives_nothing(options: dict[str, Any], prose: bytes) -> None:
    torch.manual_seed(1)
    made = ByteCausalLM.over(SPEC).generate(
        tokens(prose[:200]),
        return_dict_in_generate=True,
        output_scores=True,
        **{"max_new_tokens": 8, "do_sample": False} | options,
    )
    assert not any(torch.isnan(scores).any() for scores in made.scores)
    assert made.sequences.shape[1] == 208
    assert (made.sequences < END).all()


def test_it_is_pickled_copied_and_shared_by_threads(prose: bytes) -> None:
    model, prompts = ByteCausalLM.over("gzip:rule=calibrated"), [prose[n : n + 100] for n in (0, 50, 500)]

    def generate(one: Any, prompt: bytes) -> bytes:
        return bytes(one.generate(tokens(prompt), max_new_tokens=6, do_sample=False)[0, 100:].tolist())

    expected = [generate(model, prompt) for prompt in prompts]
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):  # noqa: S301 - our own
        assert [generate(twin, prompt) for prompt in prompts] == expected
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda prompt: generate(model, prompt), prompts * 2)) == expected * 2
