"""Train a language model over bytes or tokens with transformers' Trainer, and save it with a model card.

A training window is a start symbol and a stretch from a random place of the data, so that the model can begin anywhere.
A run resumes from its last checkpoint. ``torchrun --nproc-per-node N -m compgen train CONFIG`` uses several GPUs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from compgen.atomic import replacing
from compgen.errors import UsageError
from compgen.locks import alone_in
from compgen.neural.tokens.tree import SPARE_POSITIONS
from compgen.training.attention import BLOCKS
from compgen.training.config import BYTES, Architecture, Budget, Schedule, TrainingConfig
from compgen.training.corpus import Corpus
from compgen.training.optimizer import MuonAdamW
from compgen.training.vocabulary import Vocabulary

CARD = "README.md"
"""The model card. It is written last: where it exists, the model beside it is complete."""

_MEASURED = 128
"""Held-out windows in a measurement. Chosen: enough to compare runs, few enough not to slow a training down."""


def network(
    model: Architecture, vocabulary: Vocabulary | None = None, initial: str = ""
) -> transformers.LlamaForCausalLM:
    """Return a network with random weights, or with those of a folder.

    Args:
        model: sizes of the network.
        vocabulary: its symbols; bytes by default.
        initial: a folder of weights; empty for random ones. If their gated units are narrower than the model's, the
            added numbers begin without effect.

    Raises:
        UsageError: the folder holds no weights, or those of a network of other sizes.
    """
    vocabulary = vocabulary or Vocabulary(None)
    net = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocabulary.size,
            hidden_size=model.width,
            intermediate_size=model.inner_width,
            num_hidden_layers=model.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.kv_heads,
            head_dim=model.head_width,
            # A state that reads tokens byte by byte keeps SPARE_POSITIONS in reserve, beside a window of the context.
            max_position_embeddings=model.context + 1 + (SPARE_POSITIONS if model.vocabulary > BYTES else 0),
            tie_word_embeddings=False,
            bos_token_id=vocabulary.start,
            eos_token_id=None,
            pad_token_id=None,
            use_cache=False,
        )
    )
    if initial:
        try:
            net.load_state_dict(_widened(load_file(Path(initial) / "model.safetensors"), net.state_dict()))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"initial: '{initial}' holds no weights of this architecture: {reason}; "
                "name a folder that 'cgn train' wrote, and give [model] its sizes"
            ) from None
    return net


def _widened(weights: dict[str, torch.Tensor], random: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``weights`` with gated units as wide as in ``random``.

    The added numbers read with random weights and write with zeros: the network computes the same function, and
    gradients reach the zeros at once.
    """
    widened = dict(weights)
    for name in weights.keys() & random.keys():
        given, units = weights[name], random[name]
        if "gate_proj" in name or "up_proj" in name:
            widened[name] = torch.cat((given, units[len(given) :].to(given.dtype)))
        elif "down_proj" in name:
            widened[name] = torch.nn.functional.pad(given, (0, max(0, units.shape[1] - given.shape[1])))
    return widened


class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Training windows: a start symbol and ``context`` symbols of the data.

    They begin at random places that ``seed`` and the window's number determine, or, without a seed, at even distances.
    """

    def __init__(self, data: NDArray[np.integer[Any]], start: int, context: int, count: int, seed: int | None) -> None:
        if len(data) < context:
            raise UsageError(
                f"{len(data)} symbols of data are less than a window of {context}; "
                "give more data, or lower model.context"
            )
        self._data = data
        self._start = start
        self._context = context
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        most = len(self._data) - self._context
        if self._seed is None:
            begin = index * most // max(1, self._count - 1)
        else:
            begin = int(np.random.default_rng((self._seed, index)).integers(most + 1))
        symbols = torch.full((self._context + 1,), self._start, dtype=torch.int64)
        symbols[1:] = torch.from_numpy(self._data[begin : begin + self._context].astype(np.int64))
        return {"input_ids": symbols, "labels": symbols}  # transformers shifts labels: the start is not predicted


class _Log(transformers.TrainerCallback):
    """Writes a line for each measurement, in bits per byte. ``valid`` is the last one on held-out data."""

    def __init__(self, tell: Callable[[str], None], symbols_per_step: int, bytes_per_symbol: float) -> None:
        self._tell = tell
        self._bytes = symbols_per_step * bytes_per_symbol
        self._bits = 1 / math.log(2) / bytes_per_symbol  # bits per byte that a nat per symbol is
        self._since: tuple[float, int] | None = None
        self.valid: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._since = (time.perf_counter(), state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **rest: Any) -> None:
        logs = logs or {}
        if "eval_loss" in logs:
            self.valid = logs["eval_loss"] * self._bits
            self._tell(f"step {state.global_step}: held out {self.valid:.4f} bits per byte")
        elif "loss" in logs and self._since is not None:
            now, (then, step) = time.perf_counter(), self._since
            speed = (state.global_step - step) * self._bytes / (now - then)
            self._since = (now, state.global_step)
            self._tell(
                f"step {state.global_step} of {state.max_steps}: {logs['loss'] * self._bits:.4f} bits per byte, "
                f"rate {logs['learning_rate']:.2e}, {speed:.0f} bytes/s"
            )


def train(config: TrainingConfig, root: Path, out: Path, tell: Callable[[str], None]) -> float:
    """Train by a config on the data under ``root``; the other arguments, the result and errors are those of ``fit``.

    Raises:
        UsageError: the data is missing.
        CompgenError: another training writes to ``out``.
    """
    corpus = Corpus.read(root, config.data, config.held_out)
    vocabulary = Vocabulary.train(config.model.vocabulary, corpus.train)
    source = ", ".join(config.data)
    begin = config.initial, config.initial_share
    # torchrun starts several processes for one training; the first of them holds the lock.
    with alone_in(out) if os.environ.get("RANK", "0") == "0" else nullcontext():
        return fit(config.model, config.training, vocabulary, corpus.encoded(vocabulary), out, tell, source, *begin)


def fit(
    model: Architecture,
    plan: Schedule,
    vocabulary: Vocabulary,
    corpus: Corpus,
    out: Path,
    tell: Callable[[str], None],
    source: str,
    initial: str = "",
    initial_share: float = 0.0,
) -> float:
    """Train a network, save it, and return its rate on held-out windows, bits per byte.

    Args:
        model: sizes of the network.
        plan: the schedule.
        vocabulary: the symbols that the network reads.
        corpus: the data, in symbols of ``vocabulary``.
        out: the folder for ``config.json``, ``model.safetensors``, a tokeniser if there is one, ``README.md`` and
            ``checkpoints``, from which a run resumes.
        tell: receives each line of the log.
        source: a description of the data, for the card.
        initial: a folder of weights to begin with; empty for random ones.
        initial_share: share of the initial weights in the saved ones (``TrainingConfig``).

    Raises:
        UsageError: there is too little data, the initial weights do not fit, the batch cannot be shared by the
            processes, or ``out`` holds checkpoints of another network.
    """
    start, context = vocabulary.start, model.context
    transformers.utils.logging.disable_progress_bar()  # that of saving: ``tell`` gets all that is worth a line
    transformers.set_seed(plan.seed)
    trained = network(model, vocabulary, initial)
    begun = {name: weights.clone() for name, weights in trained.state_dict().items()} if initial_share else {}
    if not torch.cuda.is_available():
        trained.set_attn_implementation(BLOCKS)
    parameters = sum(p.numel() for p in trained.parameters())
    tell(
        f"{parameters} parameters, {len(corpus.train)} symbols of {corpus.bytes_per_symbol:.2f} bytes to train on, "
        f"{len(corpus.held_out)} held out"
    )
    log = _Log(tell, plan.batch * context, corpus.bytes_per_symbol)
    trainer = transformers.Trainer(
        trained,
        _arguments(plan, out),
        train_dataset=Windows(corpus.train, start, context, plan.steps * plan.batch, plan.seed),
        eval_dataset=Windows(corpus.held_out, start, context, _MEASURED, None),
        optimizers=(MuonAdamW(trained, plan.learning_rate, plan.weight_decay), None),
        callbacks=[log],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    last = _last_checkpoint(out / "checkpoints")
    if last is not None:
        tell(f"going on from {last}")
        _check_checkpoint(last, trained)
    trainer.train(resume_from_checkpoint=last)
    for name, weights in trained.state_dict().items() if initial_share else ():
        weights.lerp_(begun[name].to(weights.device), initial_share)
    trainer.evaluate()
    assert log.valid is not None  # noqa: S101 - evaluate has logged it
    if trainer.is_world_process_zero():
        trained.bfloat16().save_pretrained(out)
        vocabulary.save(out)
        origin = f"from weights of {initial}" if initial else "from random weights"
        if initial_share:
            origin += f", which are {initial_share:g} of the mean that this is"
        card = _card(model, plan, vocabulary, corpus, parameters, log.valid, source, origin)
        with replacing(out / CARD) as file:
            file.write(card.encode())
    return log.valid


def _arguments(plan: Schedule, out: Path) -> transformers.TrainingArguments:
    """Return the settings of transformers' Trainer.

    Raises:
        UsageError: the batch is not a multiple of the processes or GPUs that share it.
    """
    # torchrun says how many processes it started, each with its GPU. Without torchrun, one process has all GPUs.
    shares = int(os.environ.get("WORLD_SIZE", 0)) or max(1, torch.cuda.device_count())
    if plan.batch % shares:
        raise UsageError(f"training: batch must be a multiple of the {shares} processes or GPUs, not {plan.batch}")
    return transformers.TrainingArguments(
        output_dir=str(out / "checkpoints"),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch // shares,
        per_device_eval_batch_size=plan.batch // shares,
        learning_rate=plan.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        warmup_steps=plan.warm_up,
        lr_scheduler_kwargs={"num_decay_steps": plan.decay, "min_lr_ratio": 0.0, "decay_type": "linear"},
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        seed=plan.seed,
        eval_strategy="steps",
        eval_steps=plan.evaluate_every,
        save_steps=plan.save_every,
        save_total_limit=2,
        logging_steps=min(50, plan.evaluate_every),
        report_to="none",
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
    )


def _last_checkpoint(folder: Path) -> str | None:
    """Return the last complete checkpoint, or None: the trainer writes the state of a checkpoint last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def _is_json(path: Path) -> bool:
    """Return whether a file is whole JSON. A training that was killed may have torn it."""
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _check_checkpoint(checkpoint: str, trained: transformers.LlamaForCausalLM) -> None:
    """Raise UsageError if the weights of a checkpoint have other sizes than those of ``trained``."""
    with safe_open(f"{checkpoint}/model.safetensors", "pt") as saved:
        sizes = {name: saved.get_slice(name).get_shape() for name in saved.keys()}  # noqa: SIM118
    if sizes != {name: list(weights.shape) for name, weights in trained.state_dict().items()}:
        raise UsageError(f"'{checkpoint}' is of another network; choose another --out, or remove that folder")


def fit_alone(
    model: Architecture, budget: Budget, seed: int, train: bytes, held_out: bytes, out: Path, source: str
) -> dict[str, float]:
    """Train a network by a budget, unless ``out`` holds it already; return numbers that describe the training.

    One thread computes on a CPU, so that the weights do not depend on the number of threads.

    Args:
        model: sizes of the network.
        budget: the schedule, in bytes.
        seed: of the first weights and of the windows.
        train: bytes to train on.
        held_out: bytes to measure on.
        out: the folder for the model, as in ``fit``.
        source: a description of the data, for the card.

    Raises:
        UsageError: there is too little data.
        CompgenError: another process trains in ``out``.
    """
    data, held = (np.frombuffer(part, dtype=np.uint8) for part in (train, held_out))
    vocabulary = Vocabulary.train(model.vocabulary, data)
    corpus = Corpus(data, held, hashlib.blake2b(train, digest_size=8).hexdigest()).encoded(vocabulary)
    plan = budget.schedule(model.context, corpus.bytes_per_symbol, seed)
    with alone_in(out):
        if not (out / CARD).exists():
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                fit(model, plan, vocabulary, corpus, out, lambda line: None, source)
            finally:
                torch.set_num_threads(threads)
            shutil.rmtree(out / "checkpoints")
    return {
        "bytes": len(train),
        "steps": plan.steps,
        "symbols": plan.steps * plan.batch * model.context,
        "vocabulary": vocabulary.size - 1,
        "bytes_per_symbol": round(corpus.bytes_per_symbol, 4),
    }


def _card(
    model: Architecture,
    plan: Schedule,
    vocabulary: Vocabulary,
    corpus: Corpus,
    parameters: int,
    rate: float,
    source: str,
    origin: str,
) -> str:
    """Return the text of a model card: ``parameters`` counts the network's, ``rate`` is in bits per byte."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    size, seen = (
        round(n * corpus.bytes_per_symbol) for n in (len(corpus.train), plan.steps * plan.batch * model.context)
    )
    kind = "byte" if corpus.bytes_per_symbol == 1 else "token"
    return f"""# A {kind}-level language model

| | |
| --- | --- |
| network | Llama type: {model.layers} layers, width {model.width}, {model.heads} heads of {model.head_width} over \
{model.kv_heads} of keys and values, gated units of {model.inner_width}; {parameters} parameters, bfloat16 |
| symbols | {vocabulary.size - 1} {kind}s of {corpus.bytes_per_symbol:.2f} bytes on average, and a start symbol \
({vocabulary.start}) |
| context | {model.context} {kind}s |
| data | {source}: {size} bytes, digest {corpus.digest} |
| training | {plan.steps} steps of {plan.batch} windows ({seen} bytes), Muon and AdamW, rate {plan.learning_rate}, \
seed {plan.seed}, {origin} |
| machine | {device}, torch {torch.__version__}, transformers {transformers.__version__} |
| held out | {rate:.4f} bits per byte, on windows of {model.context} {kind}s that know nothing before them |
"""
