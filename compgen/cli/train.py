"""``cgn train``: train a byte-level language model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from compgen.cli import files
from compgen.cli.options import DataRoot
from compgen.extras import need


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The training: a TOML file, such as configs/train_paper_200k.toml.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder for the model.")],
    data: DataRoot = None,
) -> None:
    """Train a byte-level language model. A run that was stopped continues when it is started again.

    The folder then holds config.json and model.safetensors: a model for --compressor llm:DIR.
    """
    from compgen.training.config import TrainingConfig

    plan = TrainingConfig.read(config)
    files.check_folder(str(out))
    run = need("compgen.training.train", "llm", "training").train
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, only this one prints

    def tell(line: str) -> None:
        if first:
            print(line, file=sys.stderr, flush=True)

    rate = run(plan, Path() if data is None else data, out, tell)
    if first:
        print(f"{out}: {rate:.4f} bits per byte on held-out data")
