"""Tiny language models with seeded random weights: the architectures and tokenisers of real ones, without training."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from compgen.training.config import Architecture

PROSE = Path(__file__).resolve().parents[2] / "examples/prompts/lighthouse.txt"


def byte_level(size: int = 400, *, bos: bool = True) -> PreTrainedTokenizerFast:
    """Return byte-level BPE like GPT-2's, with ``size`` tokens; ``bos``: with a token that begins and ends texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"] if bos else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = PROSE.read_text(encoding="utf-8")
    others = [
        "\n\n \n\n  \n\n\n   " * 3,
        "中丮 " * 200,
        " é è" * 200,
    ]  # for tokens that are parts of characters
    tokenizer.train_from_iterator([text, text.replace("\n", "\n\n"), *others], trainer)
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"} if bos else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _changed(tokenizer: PreTrainedTokenizerFast, **parts: Any) -> PreTrainedTokenizerFast:
    """Return a tokeniser whose tokenizer.json has other ``parts``."""
    layout = json.loads(tokenizer.backend_tokenizer.to_str())
    names = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(layout | parts)), **names)


@functools.cache
def like_llama_3() -> PreTrainedTokenizerFast:
    """Return byte-level BPE over the words of Llama 3's regular expression."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return _changed(byte_level(), pre_tokenizer={"type": "Sequence", "pretokenizers": [split, level]})


_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


@functools.cache
def like_llama_2() -> PreTrainedTokenizerFast:
    """Return SentencePiece as in Llama 2's first conversion: the normaliser writes ``▁``, also before every text."""
    normalizers = [{"type": "Prepend", "prepend": "▁"}, _REPLACE]
    return _changed(sentence_piece(), pre_tokenizer=None, normalizer={"type": "Sequence", "normalizers": normalizers})


@functools.cache
def like_gemma() -> PreTrainedTokenizerFast:
    """Return SentencePiece like Gemma's, without a space before every text."""
    return _changed(sentence_piece(), pre_tokenizer=None, normalizer=_REPLACE)


def sentence_piece(size: int = 420) -> PreTrainedTokenizerFast:
    """Return SentencePiece like Llama 2's: BPE with ``▁`` for spaces, byte fallback, and a space before every text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<unk>", "<s>", "</s>", *fallback], show_progress=False
    )
    tokenizer.train_from_iterator(PROSE.read_text(encoding="utf-8").split("\n"), trainer)
    layout = json.loads(tokenizer.to_str())
    layout["added_tokens"] = [token for token in layout["added_tokens"] if token["content"] not in fallback]
    layout["pre_tokenizer"]["split"] = False
    tokenizer = Tokenizer.from_str(json.dumps(layout))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def without_tokens_for_some_bytes() -> PreTrainedTokenizerFast:
    """Return byte-level BPE without tokens for the bytes from 0xF5 on, which valid UTF-8 never holds."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    every = "".join(c for c in sorted(pre_tokenizers.ByteLevel.alphabet()) if c not in "õö÷øùúûüýþÿ")
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=list(every), show_progress=False)
    tokenizer.train_from_iterator(["the sea the sea"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def gpt2(width: int, seed: int = 1) -> GPT2LMHeadModel:
    """Return a network of GPT-2's type with ``width`` logits."""
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=width, n_positions=256, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3)
    config.bos_token_id = config.eos_token_id = 0
    return GPT2LMHeadModel(config)


def llama(width: int, seed: int = 2) -> LlamaForCausalLM:
    """Return a network of Llama's type with ``width`` logits; two query heads share a head of keys and values."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=width,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=400,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config)


def gemma3(width: int, seed: int = 3) -> Gemma3ForCausalLM:
    """Return a network of Gemma 3's type with ``width`` logits: two layers see 8 tokens, and one sees all."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=width,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        max_position_embeddings=400,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        initializer_range=0.3,
    )
    return Gemma3ForCausalLM(config)


def mistral(width: int, seed: int = 4) -> MistralForCausalLM:
    """Return a network of Mistral's type with ``width`` logits: all layers see 8 tokens."""
    torch.manual_seed(seed)
    config = MistralConfig(
        vocab_size=width,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=400,
        sliding_window=8,
        initializer_range=0.3,
    )
    return MistralForCausalLM(config)


def save(path: Path, model: Any, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Write a model and its tokeniser to the folder ``path``; return it."""
    disable_progress_bar()
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def byte_network(path: Path, seed: int = 5) -> Path:
    """Write a network over bytes to the folder ``path``; return it. Its distributions are far from uniform."""
    from compgen.training.train import network

    torch.manual_seed(seed)
    model = network(Architecture(2, 48, heads=4, kv_heads=2, head_width=16, inner_width=96, context=40))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim == 2 else 1 + 0.3 * torch.rand_like(parameter))
    disable_progress_bar()
    model.save_pretrained(path)
    return path


def make(kind: str, path: Path) -> Path:
    """Write a model of the given kind, one of ``KINDS``, to the folder ``path``; return it."""
    build, tokenizer, extra = {
        "gpt2": (gpt2, byte_level(), 0),
        "llama": (llama, sentence_piece(), 0),
        "no-bos": (llama, byte_level(bos=False), 0),
        "wide": (gpt2, byte_level(), 40),
    }[kind]
    return save(path, build(len(tokenizer) + extra), tokenizer)


KINDS = ("gpt2", "llama", "no-bos", "wide")
"""Kinds of models: no-bos has no token that begins a text, and wide has more logits than tokens."""
