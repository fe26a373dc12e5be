"""Compressors as models of transformers': ``generate()`` and its processors follow the model's own distribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

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
    logits = again(tokens(prose[:100])).logits[0, 0, :256]
    expected = load(SPEC).start([prose[:100]]).log2_probs()[0] * np.log(2)
    assert np.allclose(logits.numpy(), expected, atol=1e-5)
    with pytest.raises(UsageError, match="0 to 255"):
        again(torch.tensor([[300]]))
