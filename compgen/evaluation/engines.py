"""Engines run the shards of a study and yield each result as it comes. All engines give the same results."""

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
"""Names of the engines, as ``--engine`` takes them."""

_RETRIES = 3
"""How often a shard is run again after its worker was lost. Chosen: a shard that takes worker after worker with it
(for want of memory, say) should fail in the end."""
_SHARDS_A_WORKER = 2
"""Shards handed to each worker at a time, one at work and one that waits, so that no worker waits for the driver."""


@dataclass(frozen=True)
class Done:
    """A shard that was run.

    Attributes:
        shard: the shard.
        record: its result.
        seconds: the time it took.
        worker: id of the process that ran it.
    """

    shard: Shard
    record: Record
    seconds: float
    worker: int


def work(shard: Shard) -> Done:
    """Run one shard in this process."""
    begin = time.perf_counter()
    record = shard.run()
    return Done(shard, record, time.perf_counter() - begin, os.getpid())


def engine(name: str, jobs: int, address: str | None = None) -> Callable[[Sequence[Shard]], Iterator[Done]]:
    """Return the engine called ``name``, a function that runs shards.

    Args:
        name: one of ``ENGINES``.
        jobs: processes on this machine.
        address: of a running Ray cluster; None starts one here.

    Raises:
        UsageError: there is no such engine, or an address was given for ``local``.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine '{name}'{suggest(name, ENGINES)}")
    if name == "ray":
        _ray()
        return lambda shards: on_ray(shards, jobs, address)
    if address is not None:
        raise UsageError("--address names a Ray cluster; give --engine ray with it")
    return lambda shards: local(shards, jobs)


def local(shards: Sequence[Shard], jobs: int) -> Iterator[Done]:
    """Run shards on ``jobs`` processes of this machine. A long one holds up no other."""
    with OrderedPool(jobs, most=len(shards)) as pool:
        for shard in shards:
            for _, done in pool.run(shard, work, shard):
                yield done
        for _, done in pool.finished():
            yield done


def on_ray(shards: Sequence[Shard], jobs: int, address: str | None) -> Iterator[Done]:
    """Run shards on a Ray cluster: the one at ``address``, or one that is started here with ``jobs`` CPUs.

    A shard whose worker is lost is run again on another worker.

    Raises:
        CompgenError: no cluster answers, or a shard lost its worker too often.
        UsageError: a shard wants more GPUs than the cluster has.
    """
    ray = _ray()
    _connect(ray, jobs, address)
    workers = _Workers(ray, max((shard.gpus for shard in shards), default=0))
    left = deque(shards)
    try:
        while left or workers.running:
            while left and workers.submit(left[0]):
                left.popleft()
            yield from workers.finished()
    finally:
        workers.stop()


def _connect(ray: Any, jobs: int, address: str | None) -> None:
    if ray.is_initialized():
        return
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


class _Workers:
    """The workers of a cluster: tasks for shards that need CPUs alone, actors for shards that want GPUs.

    Attributes:
        running: the shards under way, by Ray's reference to their result, each with its actor (None for a task).
    """

    def __init__(self, ray: Any, gpus_wanted: int) -> None:
        self.running: dict[Any, Any] = {}
        self._ray = ray
        self._task = ray.remote(max_retries=_RETRIES)(work)
        cpus, self._gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        if gpus_wanted > self._gpus:
            raise UsageError(
                f"a row wants {gpus_wanted} GPUs and the cluster has {self._gpus}; "
                "lower gpus in the config, or add a node"
            )
        self._most = _SHARDS_A_WORKER * (cpus + self._gpus)
        self._actors: list[Any] = []
        self._free: list[Any] = []  # actors, once for each further shard that they can take

    def submit(self, shard: Shard) -> bool:
        """Hand ``shard`` to a worker; return False if none can take it now."""
        if len(self.running) >= self._most:
            return False
        if not shard.gpus:
            self.running[self._task.remote(shard)] = None
            return True
        if not self._free and (len(self._actors) + 1) * shard.gpus <= self._gpus:
            actor = self._ray.remote(max_restarts=-1, max_task_retries=_RETRIES, num_gpus=shard.gpus)(_Holder)
            self._actors.append(actor.remote())
            self._free += [self._actors[-1]] * _SHARDS_A_WORKER
        if not self._free:
            return False
        actor = self._free.pop()
        self.running[actor.work.remote(shard)] = actor
        return True

    def finished(self) -> Iterator[Done]:
        """Wait for a shard, and yield its result; usually one, and never none."""
        for one in self._ray.wait(list(self.running))[0]:
            actor = self.running.pop(one)
            if actor is not None:
                self._free.append(actor)
            yield self._result(one)

    def _result(self, one: Any) -> Done:
        try:
            done: Done = self._ray.get(one)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CompgenError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise CompgenError(
                f"a shard lost its worker {1 + _RETRIES} times; look at the cluster, then use --resume: {error}"
            ) from None
        return done

    def stop(self) -> None:
        """Cancel what is running, and end the actors."""
        for one, actor in self.running.items():
            self._ray.cancel(one, force=actor is None)
        for actor in self._actors:
            self._ray.kill(actor)


class _Holder:
    """An actor: a process that keeps its GPUs and its model from one shard to the next."""

    def work(self, shard: Shard) -> Done:
        """Run one shard; ``shards.cached`` keeps its model for the next."""
        return work(shard)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics are sent
    # Ray will do this by default, and warns until then: leave CUDA_VISIBLE_DEVICES to workers without a GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    return need("ray", "ray", "--engine ray")
