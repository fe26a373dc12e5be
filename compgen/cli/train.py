"""``cgn train``: train a byte-level language model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.help import FILES
from compgen.cli.messages import report
from compgen.cli.options import DataRoot, ForceFolder, ModelFolder
from compgen.display import one_line
from compgen.extras import need


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="The training: a TOML file, such as configs/train_paper_200k.toml.",
            rich_help_panel=FILES,
        ),
    ],
    out: ModelFolder,
    data: DataRoot = None,
    force: ForceFolder = False,
) -> None:
    """Train a byte-level language model. A run that was stopped continues when it is started again.

    The folder then holds config.json and model.safetensors: a model for --compressor llm:DIR.

    Examples:
        cgn train configs/train_paper_200k.toml -o model
        cgn sample story.txt -c llm:model

    Docs: docs/language-models.md, docs/data.md
    """
    from compgen.training.config import TrainingConfig

    plan = TrainingConfig.read(config)
    files.check_folder(str(out))
    files.check_left_by_us(str(out), "config.json", "checkpoints", force)
    run = need("compgen.training.train", "llm", "training").train
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, only this one prints

    def tell(line: str) -> None:
        if first:
            report(line)

    rate = run(plan, Path() if data is None else data, out, tell)
    if first:
        print(f"{one_line(str(out))}: {rate:.4f} bits per byte on held-out data")
