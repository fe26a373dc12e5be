"""What a training run is: a TOML file, checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from compgen.config import build, read
from compgen.errors import UsageError

VERSION = 1
BYTES = 256


@dataclass(frozen=True)
class Architecture:
    """A Llama-type network over bytes, or tokens, and a start symbol.

    Attributes:
        layers: blocks of attention and a gated unit.
        width: of the residual stream.
        heads: of attention, each ``head_width`` wide.
        kv_heads: heads of keys and values, which the heads share: fewer make decoding lighter.
        head_width: as said.
        inner_width: of the gated unit.
        context: symbols in a training window, and the most that the model looks back.
        vocabulary: 256 for bytes; more for that many tokens of a BPE vocabulary, which is trained on the same data.
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
    """How long and how fast.

    Attributes:
        steps: updates of the weights.
        batch: windows in each, over all processes.
        learning_rate: of Muon and, scaled to match, of AdamW.
        warm_up: steps over which the rate rises.
        decay: steps at the end over which it falls to zero. Between the two it is constant, so that a run can go on
            from a checkpoint with more steps.
        weight_decay: of matrices.
        evaluate_every: steps between measurements on held-out data.
        save_every: steps between checkpoints.
        seed: of weights and windows.
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
            raise UsageError(f"training: warm_up and decay are {self.warm_up + self.decay} of {self.steps} steps")


@dataclass(frozen=True)
class Budget:
    """A schedule by bytes of text instead of steps, so that networks over bytes and tokens see equally much.

    Attributes:
        bytes: that the training goes through, however little data there is.
        batch: windows in each step.
        learning_rate: as in ``Schedule``.
    """

    bytes: int
    batch: int
    learning_rate: float = 5e-3

    def __post_init__(self) -> None:
        self.schedule(1, 1.0, 0)

    def schedule(self, context: int, bytes_per_symbol: float, seed: int) -> Schedule:
        """Return the schedule for windows of ``context`` symbols: a tenth of it rises, four tenths fall."""
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
    """A model, its data, its schedule.

    Attributes:
        model: the network.
        training: the schedule.
        data: files, archives (tar, tar.xz, tar.gz) and folders, relative to the data root. Pictures and sound in them
            are read as their samples, one byte each.
        held_out: share of the data that is never trained on, for the measurements.
        initial: a folder of weights to begin with, relative to the config; without one they are random. Its gated units
            may be narrower than the model's, and its context another.
        initial_share: of those weights in what is saved, which is a mean of where the training began and where it ended
            (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The two can be better together than
            either; where the context is another, only by a small share: the first weights know no more than theirs.
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
                f"initial_share must be a share of initial, 0 or more and under 1, not {self.initial_share}"
            )
        if self.initial and self.model.vocabulary != BYTES:
            raise UsageError("initial is for networks over bytes: another vocabulary is learnt anew with each training")

    @classmethod
    def read(cls, path: Path) -> TrainingConfig:
        """Return the config in a TOML file.

        Raises:
            UsageError: it is not there, or not such a config.
        """
        table, _ = read(str(path))
        if table.pop("version", None) != VERSION:
            raise UsageError(f"config '{path}' must say version = {VERSION}")
        config = build(cls, table, f"config '{path}'")
        return dataclasses.replace(config, initial=config.initial and str(path.parent / config.initial))
