"""``cgn train``: a byte-level language model of your own."""

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
        Path, typer.Argument(metavar="CONFIG", help="A TOML file, such as configs/train_paper_200k.toml.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where the model goes.")],
    data: DataRoot = None,
) -> None:
    """Train a byte-level language model; a run that was stopped goes on where it was when it is started again.

    What comes out is a folder of config.json and safetensors: a model for --compressor llm:DIR.
    """
    from compgen.training.config import TrainingConfig

    plan = TrainingConfig.read(config)
    files.check_folder(str(out))
    run = need("compgen.training.train", "llm", "training").train
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts: the one that speaks

    def tell(line: str) -> None:
        if first:
            print(line, file=sys.stderr, flush=True)

    rate = run(plan, Path() if data is None else data, out, tell)
    if first:
        print(f"{out}: {rate:.4f} bits per byte on held-out data")
