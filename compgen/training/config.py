"""The config of a training run: a TOML file, read into checked dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from compgen.config import build, read
from compgen.errors import UsageError

VERSION = 1
"""Version of the config format, which every config states."""

BYTES = 256
"""``Architecture.vocabulary`` of a network over bytes."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Llama-type network over bytes or tokens, and a start symbol.

    Attributes:
        layers: blocks of attention and a gated unit.
        width: numbers of the residual stream.
        heads: heads of queries.
        kv_heads: heads of keys and values, which groups of query heads share. Fewer make decoding faster.
        head_width: numbers of a head.
        inner_width: numbers of a gated unit.
        context: symbols in a training window, and the most that the model looks back.
        vocabulary: 256 for bytes. A larger number is that of tokens in a BPE vocabulary, learnt from the same data.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    inner_width: int
    context: int
    vocabulary: int = BYTES

    def __post_init__(self) -> None:
        if self.vocabulary < BYTES:
            raise UsageError(f"model.vocabulary must be {BYTES}, for bytes, or more, not {self.vocabulary}")
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise UsageError(f"model.{name} must be 1 or more, not {value}")
        if self.heads % self.kv_heads or self.width % self.heads or self.head_width % 2:
            raise UsageError(
                "model.heads must divide model.width and be a multiple of model.kv_heads, and model.head_width even"
            )


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        steps: updates of the weights.
        batch: windows in each step, over all processes.
        learning_rate: of Muon and AdamW alike (``optimizer.py``).
        warm_up: steps at the beginning over which the learning rate rises.
        decay: steps at the end over which it falls to zero. In between it is constant, so that a run can go on from a
            checkpoint with more steps.
        weight_decay: of the matrices that Muon trains.
        evaluate_every: steps between measurements on held-out data.
        save_every: steps between checkpoints.
        seed: of the first weights and of the windows.
    """

    steps: int
    batch: int
    learning_rate: float = 5e-3
    warm_up: int = 100
    decay: int = 0
    weight_decay: float = 0.05
    evaluate_every: int = 500
    save_every: int = 500
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.evaluate_every, self.save_every) < 1 or self.seed < 0:
            raise UsageError("training: steps, batch, evaluate_every and save_every must be 1 or more, seed 0 or more")
        if self.learning_rate <= 0 or min(self.warm_up, self.decay, self.weight_decay) < 0:
            raise UsageError("training: learning_rate must be above 0; warm_up, decay and weight_decay 0 or more")
        if self.warm_up + self.decay > self.steps:
            raise UsageError(
                f"training: warm_up and decay are {self.warm_up + self.decay} of {self.steps} steps; lower them, or "
                "raise steps"
            )


@dataclass(frozen=True)
class Budget:
    """A schedule by bytes of text instead of steps, so that networks over bytes and over tokens see equally much.

    Attributes:
        bytes: bytes of text that the training reads, the same ones again if there are fewer.
        batch: windows in each step.
        learning_rate: as in ``Schedule``.
    """

    bytes: int
    batch: int
    learning_rate: float = 5e-3

    def __post_init__(self) -> None:
        self.schedule(1, 1.0, 0)

    def schedule(self, context: int, bytes_per_symbol: float, seed: int) -> Schedule:
        """Return the schedule for windows of ``context`` symbols: the rate rises over 1/10 of it, falls over 4/10."""
        steps = max(1, round(self.bytes / (max(1, self.batch) * context * bytes_per_symbol)))
        return Schedule(
            steps,
            self.batch,
            self.learning_rate,
            warm_up=steps // 10,
            decay=2 * steps // 5,
            evaluate_every=steps,
            save_every=max(1, steps // 4),
            seed=seed,
        )


@dataclass(frozen=True)
class TrainingConfig:
    """A model, its data and its schedule.

    Attributes:
        model: sizes of the network.
        training: the schedule.
        data: files, archives (tar, tar.xz, tar.gz) and folders, relative to the data root. Pictures and sound in them
            are read as their samples, one byte each.
        held_out: share of the data that is never trained on, but measured.
        initial: a folder of weights to begin with, relative to the config; empty for random weights. Their gated units
            may be narrower than the model's, and their context may differ.
        initial_share: share of the initial weights in the saved ones, which are the mean of the weights before and
            after the training (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The mean can be better
            than either. If the training lengthens the context, only a small share helps: the initial weights know no
            positions beyond their own context.
    """

    model: Architecture
    training: Schedule
    data: tuple[str, ...]
    held_out: float = 0.005
    initial: str = ""
    initial_share: float = 0.0

    def __post_init__(self) -> None:
        if not self.data:
            raise UsageError("data must name at least one file, archive or folder")
        if not 0 < self.held_out < 1:
            raise UsageError(f"held_out must be a share between 0 and 1, not {self.held_out}")
        if not 0 <= self.initial_share < 1 or (self.initial_share and not self.initial):
            raise UsageError(
                f"initial_share must be 0 or more and under 1, and 0 without initial, not {self.initial_share}"
            )
        if self.initial and self.model.vocabulary != BYTES:
            raise UsageError(
                "initial is for networks over bytes, because each training learns other tokens: leave it out, or set "
                f"model.vocabulary to {BYTES}"
            )

    @classmethod
    def read(cls, path: Path) -> TrainingConfig:
        """Return the config in the TOML file ``path``.

        Raises:
            UsageError: the file is missing, or is not such a config.
        """
        table, _ = read(str(path))
        if table.pop("version", None) != VERSION:
            raise UsageError(f"config '{path}' must say version = {VERSION}")
        config = build(cls, table, f"config '{path}'")
        return dataclasses.replace(config, initial=config.initial and str(path.parent / config.initial))
