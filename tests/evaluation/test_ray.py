"""The engine ``ray`` on a real cluster of two workers gives the bytes of ``local``, even if a worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from compgen.errors import CompgenError, UsageError
from compgen.evaluation import engines
from compgen.evaluation.engines import Done
from compgen.evaluation.run import evaluate
from compgen.evaluation.shards import Shard

CONFIG = """
version = 1
study = "table"
title = "On two workers"
seed = 3
lengths = [2048]
shard = 8192
decoded = 0

[[sets]]
name = "text"
made = "text"
size = 65_536

[[rows]]
name = "counts"
spec = "backoff:order=2"
bytes = 8192
gpus = 1

[[rows]]
name = "gzip"
spec = "gzip"

[[rows]]
name = "slow"
spec = "command:sh -c 'sleep 0.05; tee -a LOG'"
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    engines._ray()
    # The scheduler is told of a GPU that does not exist; no model of these tests uses it.
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="warning")
    yield ray
    ray.shutdown()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG.replace("LOG", str(tmp_path / "log")))
    return tmp_path / "c.toml"


def test_ray_equals_local_though_a_worker_is_killed(cluster: Any, config: Path) -> None:
    log = config.parent / "log"
    evaluate(str(config), config.parent / "local", engines.engine("local", 1))
    once = log.stat().st_size
    log.unlink()
    killed: list[int] = []

    def engine(shards: Sequence[Shard]) -> Iterator[Done]:
        for done in engines.engine("ray", 2)(shards):
            if not killed and done.shard.id.startswith("text/slow"):
                os.kill(done.worker, signal.SIGKILL)  # by now it runs another shard, or waits for one
                killed.append(done.worker)
            yield done

    result = evaluate(str(config), config.parent / "ray", engine)
    assert killed
    assert len(result.records) == (1 + 1) + 8 + 8  # the whole rate of a model, its written chunks, and shards
    assert (config.parent / "ray/results.jsonl").read_bytes() == (config.parent / "local/results.jsonl").read_bytes()
    workers = {line.rsplit(b":", 1)[1] for line in (config.parent / "ray/timings.jsonl").read_bytes().splitlines()}
    assert len(workers) >= 3  # the actor, and two or more others, one of them new
    assert once <= log.stat().st_size <= once + 2 * 8192 + 1000  # no more than a shard was done twice


def test_a_shard_that_fails_is_the_users_to_mend(cluster: Any, config: Path) -> None:
    config.write_text(config.read_text().replace("tee -a", "false"))
    with pytest.raises(CompgenError, match="exit"):
        evaluate(str(config), config.parent / "out", engines.engine("ray", 2))


def test_more_gpus_than_there_are(cluster: Any, config: Path) -> None:
    config.write_text(config.read_text().replace("gpus = 1", "gpus = 2"))
    with pytest.raises(UsageError, match="wants 2 GPUs"):
        evaluate(str(config), config.parent / "out", engines.engine("ray", 2))


def test_an_address_is_rays() -> None:
    with pytest.raises(UsageError, match="--engine ray"):
        engines.engine("local", 1, "auto")
