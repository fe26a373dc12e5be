"""Train a byte-level language model with transformers' own Trainer, and save it with a card.

Each window of the data follows a start symbol, so that the model knows how text begins, and goes on from anywhere.
Runs resume from their last checkpoint; ``torchrun --nproc-per-node N -m compgen train CONFIG`` uses several GPUs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.trainer_utils import get_last_checkpoint

from compgen.errors import UsageError
from compgen.training.config import Architecture, TrainingConfig
from compgen.training.corpus import Corpus
from compgen.training.optimizer import MuonAdamW

START = 256
"""The symbol before the first byte."""

_MEASURED = 128  # held-out windows in a measurement


def network(model: Architecture, initial: str = "") -> transformers.LlamaForCausalLM:
    """Return a network with random weights, or with those of the folder ``initial``.

    Raises:
        UsageError: there are none, or they are not of this architecture.
    """
    net = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=START + 1,
            hidden_size=model.width,
            intermediate_size=model.inner_width,
            num_hidden_layers=model.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.kv_heads,
            head_dim=model.head_width,
            max_position_embeddings=model.context + 1,
            tie_word_embeddings=False,
            bos_token_id=START,
            eos_token_id=None,
            pad_token_id=None,
            use_cache=False,
        )
    )
    if initial:
        try:
            net.load_state_dict(load_file(Path(initial) / "model.safetensors"))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"initial: '{initial}' holds no weights of this architecture: {reason}") from None
    return net


class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Windows of ``context`` bytes after a start symbol: at seeded random places, or, where measured, side by side."""

    def __init__(self, data: NDArray[np.uint8], context: int, count: int, seed: int | None) -> None:
        self._data = data
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
        symbols = torch.full((self._context + 1,), START, dtype=torch.int64)
        symbols[1:] = torch.from_numpy(self._data[begin : begin + self._context].astype(np.int64))
        return {"input_ids": symbols, "labels": symbols}  # transformers shifts the labels; none predicts the start


class _Log(transformers.TrainerCallback):
    """One line for each measurement, rates in bits per byte."""

    def __init__(self, tell: Callable[[str], None], bytes_per_step: int) -> None:
        self._tell = tell
        self._bytes = bytes_per_step
        self._since: tuple[float, int] | None = None
        self.valid: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._since = (time.perf_counter(), state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **rest: Any) -> None:
        logs = logs or {}
        if "eval_loss" in logs:
            self.valid = logs["eval_loss"] / math.log(2)
            self._tell(f"step {state.global_step}: held out {self.valid:.4f} bits per byte")
        elif "loss" in logs and self._since is not None:
            now, (then, step) = time.perf_counter(), self._since
            speed = (state.global_step - step) * self._bytes / (now - then)
            self._since = (now, state.global_step)
            self._tell(
                f"step {state.global_step} of {state.max_steps}: {logs['loss'] / math.log(2):.4f} bits per byte, "
                f"rate {logs['learning_rate']:.2e}, {speed:.0f} bytes/s"
            )


def train(config: TrainingConfig, root: Path, out: Path, tell: Callable[[str], None]) -> float:
    """Train, save to ``out``, and return the rate on held-out windows, bits per byte.

    Args:
        config: what to train on what.
        root: where the data lies.
        out: a folder for ``config.json``, ``model.safetensors``, ``README.md`` and, under ``checkpoints``, what a run
            resumes from.
        tell: takes a line of the log.

    Raises:
        UsageError: the data is not there, or no weights to begin with.
    """
    plan, context = config.training, config.model.context
    corpus = Corpus.read(root, config.data, config.held_out)
    transformers.set_seed(plan.seed)
    model = network(config.model, config.initial)
    parameters = sum(p.numel() for p in model.parameters())
    tell(f"{parameters} parameters, {len(corpus.train)} bytes to train on, {len(corpus.held_out)} held out")
    log = _Log(tell, plan.batch * context)
    gpus = max(1, torch.cuda.device_count())
    arguments = transformers.TrainingArguments(
        output_dir=str(out / "checkpoints"),
        max_steps=plan.steps,
        per_device_train_batch_size=max(1, plan.batch // gpus),
        per_device_eval_batch_size=max(1, plan.batch // gpus),
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
        dataloader_drop_last=True,
    )
    trainer = transformers.Trainer(
        model,
        arguments,
        train_dataset=Windows(corpus.train, context, plan.steps * plan.batch, plan.seed),
        eval_dataset=Windows(corpus.held_out, context, _MEASURED, None),
        optimizers=(MuonAdamW(model, plan.learning_rate, plan.weight_decay), None),
        callbacks=[log],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    checkpoints = str(out / "checkpoints")
    last = get_last_checkpoint(checkpoints) if Path(checkpoints).is_dir() else None
    if last is not None:
        tell(f"going on from {last}")
    trainer.train(resume_from_checkpoint=last)
    trainer.evaluate()
    assert log.valid is not None  # noqa: S101 - evaluate has logged it
    if trainer.is_world_process_zero():
        model.bfloat16().save_pretrained(out)
        (out / "README.md").write_text(_card(config, corpus, parameters, log.valid), encoding="utf-8")
    return log.valid


def _card(config: TrainingConfig, corpus: Corpus, parameters: int, rate: float) -> str:
    model, plan = config.model, config.training
    begun = f"weights of {config.initial}" if config.initial else "random weights"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    return f"""# A byte-level language model

| | |
| --- | --- |
| network | Llama type: {model.layers} layers, width {model.width}, {model.heads} heads of {model.head_width} over \
{model.kv_heads} of keys and values, gated units of {model.inner_width}; {parameters} parameters, bfloat16 |
| symbols | 256 bytes and a start symbol (256) |
| context | {model.context} bytes |
| data | {", ".join(config.data)}: {len(corpus.train)} bytes, digest {corpus.digest} |
| training | {plan.steps} steps of {plan.batch} windows ({plan.steps * plan.batch * model.context} bytes), Muon and \
AdamW, rate {plan.learning_rate}, seed {plan.seed}, from {begun} |
| machine | {device}, torch {torch.__version__}, transformers {transformers.__version__} |
| held out | {rate:.4f} bits per byte, on windows of {model.context} bytes that know nothing before them |
"""
