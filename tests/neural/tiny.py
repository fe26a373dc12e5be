"""Tiny language models, made on the spot and seeded: the shapes of the real ones, and nothing learnt."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from compgen.training.config import Architecture

PROSE = Path(__file__).resolve().parents[2] / "examples/prompts/lighthouse.txt"


def byte_level(size: int = 400, *, bos: bool = True) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-2's."""
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
    others = ["\n\n \n\n  \n\n\n   " * 3, "中丮 " * 200, " é è" * 200]  # for tokens of a part of a character
    tokenizer.train_from_iterator([text, text.replace("\n", "\n\n"), *others], trainer)
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"} if bos else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _changed(tokenizer: PreTrainedTokenizerFast, **parts: Any) -> PreTrainedTokenizerFast:
    layout = json.loads(tokenizer.backend_tokenizer.to_str())
    names = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(layout | parts)), **names)


@functools.cache
def like_llama_3() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the pieces of Llama 3's expression, as tiktoken's are."""
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
    """SentencePiece as Llama 2's was first converted: all by the normaliser."""
    normalizers = [{"type": "Prepend", "prepend": "▁"}, _REPLACE]
    return _changed(sentence_piece(), pre_tokenizer=None, normalizer={"type": "Sequence", "normalizers": normalizers})


@functools.cache
def like_gemma() -> PreTrainedTokenizerFast:
    """SentencePiece without a space before all."""
    return _changed(sentence_piece(), pre_tokenizer=None, normalizer=_REPLACE)


def sentence_piece(size: int = 420) -> PreTrainedTokenizerFast:
    """BPE over text in which spaces are letters, with byte fallback and a space before all, as Llama 2's."""
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


def gpt2(width: int, seed: int = 1) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=width, n_positions=256, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3)
    config.bos_token_id = config.eos_token_id = 0
    return GPT2LMHeadModel(config)


def llama(width: int, seed: int = 2) -> LlamaForCausalLM:
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


def save(path: Path, model: Any, tokenizer: PreTrainedTokenizerFast) -> Path:
    disable_progress_bar()
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def byte_network(path: Path, seed: int = 5) -> Path:
    """Write a network over bytes to ``path``; its random weights make distributions that are far from even."""
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
    """Write a model of the given kind, a key of ``KINDS``, to ``path``."""
    build, tokenizer, extra = {
        "gpt2": (gpt2, byte_level(), 0),
        "llama": (llama, sentence_piece(), 0),
        "no-bos": (llama, byte_level(bos=False), 0),
        "wide": (gpt2, byte_level(), 40),
    }[kind]
    return save(path, build(len(tokenizer) + extra), tokenizer)


KINDS = ("gpt2", "llama", "no-bos", "wide")
