"""A GGUF file, written by the package gguf, becomes a folder whose model computes what the file's does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

import compgen  # noqa: E402
from compgen.cli import run  # noqa: E402
from compgen.models import load  # noqa: E402
from tests.neural import tiny  # noqa: E402

_TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _tensors(model: Any) -> dict[str, Any]:
    """The weights under llama.cpp's names. It keeps the two halves of rotary embeddings interleaved."""
    heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
    found = {}
    for name, tensor in model.state_dict().items():
        array = tensor.numpy().astype(np.float32)
        if name.startswith("model.layers."):
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            if (kind := part.rpartition(".")[2]) in heads:
                array = array.reshape(heads[kind], 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
            found[f"blk.{layer}.{_TENSORS[part]}.weight"] = array
        else:
            names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
            found[f"{names[name.removesuffix('.weight')]}.weight"] = array
    return found


def _write(path: Path, model: Any, tokenizer: Any) -> None:
    config, layout = model.config, json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(layout["vocab"], key=layout["vocab"].get))
    writer.add_token_types([3] + [1] * (len(layout["vocab"]) - 1))
    writer.add_token_merges([" ".join(merge) for merge in layout["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    for name, array in _tensors(model).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_file_becomes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = tiny.byte_level()
    model = tiny.llama(len(tokenizer)).eval()
    source, out = tmp_path / "tiny.gguf", tmp_path / "made"
    _write(source, model, tokenizer)

    assert run(["score", str(source), "-c", f"llm:{source}", "--length", "3"]) == 2
    assert f"cgn convert {source} -o DIR" in capsys.readouterr().err
    assert run(["convert", str(source), "-o", str(out)]) == 0
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert not list(out.glob(".*")), "nothing temporary stays"

    own = load(f"llm:{tiny.save(tmp_path / 'own', model, tokenizer)}")
    data = tiny.PROSE.read_bytes()[:60]
    one, two = (compgen.score(spec, data).derived_bpb for spec in (own, f"llm:{out}"))
    assert one == pytest.approx(two, abs=0.05), "weights are rounded to bfloat16, and nothing else is changed"

    assert run(["convert", str(source), "-o", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert len({file.stat().st_mode for file in out.iterdir()}) == 1, "who may read one of its files may read all"
    assert run(["convert", str(source), "-o", str(out), "--force"]) == 0


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no such thing" * 9])
def test_what_is_no_model_is_said_in_a_line(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    assert run(["convert", str(tmp_path / "a.gguf"), "-o", str(tmp_path / "made")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cgn: ")
    assert error.count("\n") == 1
    assert "/model.gguf" not in error, "no name that is not the user's"
    assert not (tmp_path / "made").exists(), "nothing is half-written"
