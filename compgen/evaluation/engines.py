"""Engines: what runs shards, and hands back what each found as it comes. All give the same results."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compgen.coding.ordered_pool import OrderedPool
from compgen.errors import CompgenError, UsageError
from compgen.evaluation.shards import Record, Shard
from compgen.extras import need
from compgen.registry import suggest

ENGINES = ("local", "ray")
_RETRIES = 3  # of a shard whose worker was lost


@dataclass(frozen=True)
class Done:
    """A shard, what it found, and what it took: seconds on the process ``worker``."""

    shard: Shard
    record: Record
    seconds: float
    worker: int

    @property
    def timing(self) -> Record:
        """What it took, as a line of timings."""
        return {"id": self.shard.id, "bytes": self.shard.size, "seconds": round(self.seconds, 4), "worker": self.worker}


def work(shard: Shard) -> Done:
    """Run one shard, here."""
    begin = time.perf_counter()
    record = shard.run()
    return Done(shard, record, time.perf_counter() - begin, os.getpid())


def engine(name: str, jobs: int, address: str | None = None) -> Callable[[Sequence[Shard]], Iterator[Done]]:
    """Return the engine of this name.

    Raises:
        UsageError: there is none.
        MissingExtraError: it needs a package that is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine '{name}'{suggest(name, ENGINES)}")
    if name == "ray":
        _ray()
        return lambda shards: on_ray(shards, jobs, address)
    if address is not None:
        raise UsageError("--address is of a Ray cluster; give --engine ray beside it")
    return lambda shards: local(shards, jobs)


def local(shards: Sequence[Shard], jobs: int) -> Iterator[Done]:
    """Run shards on ``jobs`` processes of this machine."""
    with OrderedPool(jobs) as pool:
        for shard in shards:
            for _, done in pool.run(shard, work, shard):
                yield done
        for _, done in pool.rest():
            yield done


def on_ray(shards: Sequence[Shard], jobs: int, address: str | None) -> Iterator[Done]:
    """Run shards on the Ray cluster at ``address``; without one, on ``jobs`` workers that Ray starts here.

    A shard that wants GPUs goes to an actor that holds them and keeps its model loaded; its chunks are that model's
    batch. A shard whose worker is lost is run again, and no other is.

    Raises:
        CompgenError: there is no such cluster, or a shard lost its worker too often.
    """
    ray = _ray()
    if not ray.is_initialized():
        try:
            ray.init(
                address=address,
                num_cpus=jobs if address is None else None,
                include_dashboard=False if address is None else None,
                log_to_driver=False,
                logging_level="warning",
                runtime_env={"env_vars": {"COMPGEN_THREADS": "1", "OMP_NUM_THREADS": "1"}},
            )
        except (ConnectionError, ValueError) as error:
            raise CompgenError(f"no Ray cluster answers at '{address}': {error}") from None
    task = ray.remote(max_retries=_RETRIES)(work)
    cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
    wanted = max((shard.gpus for shard in shards), default=0)
    if wanted > gpus:
        raise UsageError(
            f"a row wants {wanted} GPUs and the cluster has {gpus}; lower gpus in the config, or add a node"
        )
    actors: list[Any] = []
    running: dict[Any, Any] = {}  # what is under way, each with the actor that runs it if any
    left: deque[Shard] = deque(shards)
    free: list[Any] = []
    try:
        while left or running:
            while left and len(running) < 2 * (cpus + gpus):
                shard = left[0]
                if not shard.gpus:
                    running[task.remote(left.popleft())] = None
                    continue
                if not free and len(actors) * shard.gpus + shard.gpus <= gpus:
                    actor = ray.remote(max_restarts=-1, max_task_retries=_RETRIES, num_gpus=shard.gpus)(Holder)
                    actors.append(actor.remote())
                    free += [actors[-1]] * 2  # one shard at work, one that waits for it
                if not free:
                    break
                actor = free.pop()
                running[actor.work.remote(left.popleft())] = actor
            for one in ray.wait(list(running))[0]:
                actor = running.pop(one)
                if actor is not None:
                    free.append(actor)
                yield _taken(ray, one)
    finally:
        for one in running:
            ray.cancel(one, force=running[one] is None)
        for actor in actors:
            ray.kill(actor)


class Holder:
    """An actor: a process that stays, with the GPUs and the model that it was given."""

    def work(self, shard: Shard) -> Done:
        """Run one shard; ``shards.cached`` keeps its model for the next."""
        return work(shard)


def _taken(ray: Any, one: Any) -> Done:
    try:
        done: Done = ray.get(one)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, CompgenError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise CompgenError(
            f"a shard lost its worker {1 + _RETRIES} times; see to the cluster, then --resume: {error}"
        ) from None
    return done


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do by itself, and warns of
    return need("ray", "ray", "--engine ray")
