"""The base of studies that train networks before they measure them."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from compgen.errors import UsageError
from compgen.evaluation.accounting import Rates
from compgen.evaluation.data import DataSet, SetConfig
from compgen.evaluation.shards import RateShard, Record, TrainedShard
from compgen.evaluation.studies.base import Place, Study, StudyRow
from compgen.registry import Spec
from compgen.training.config import Architecture, Budget

_NEEDED = ("torch", "transformers", "accelerate", "tokenizers")
"""Packages that training needs."""


@dataclass(frozen=True)
class Network:
    """A network to train, as a config describes it (``[[networks]]``).

    Attributes:
        name: name of the network in tables.
        model: its architecture.
        gpus: GPUs that each of its shards needs, for the engine ``ray``.
    """

    name: str
    model: Architecture
    gpus: int = 0


@dataclass(frozen=True)
class Trained(Study):
    """Networks are trained on the first set. The second set is held out.

    Attributes:
        networks: the networks to train.
        training: amount of training for each network.
        measured: bytes of each set that networks are measured on, a sample drawn by the seed.
    """

    networks: tuple[Network, ...] = ()
    training: Budget = Budget(1 << 20, 8)  # noqa: RUF009 - frozen
    measured: int = 1 << 17

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sets) != 2 or len(self.lengths) != 1 or not self.lengths[0]:
            raise UsageError("needs two sets, one to train on and one held out, and one length, that of chunks")
        if self.measured < 1:
            raise UsageError(f"measured must be 1 byte or more, not {self.measured}")

    @property
    def row_names(self) -> list[str]:
        """The names of the rows and networks that the study measures."""
        return [*super().row_names, *(one.name for one in self.networks)]

    @property
    def length(self) -> int:
        """Bytes of a chunk."""
        return self.lengths[0]

    def missing(self) -> dict[str, str]:
        """Return why rows and networks cannot run on this machine, by name."""
        lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        reason = f"training needs {', '.join(lacking)}: pip install 'compgen[llm]'"
        return super().missing() | {one.name: reason for one in self.networks if lacking}

    def _trained(
        self,
        network: Network,
        name: str,
        train: str,
        data: DataSet,
        sets: Sequence[tuple[SetConfig, DataSet]],
        place: Place,
    ) -> TrainedShard:
        """Return the shard that trains a network and measures it.

        Args:
            network: the network.
            name: name of the trained model, unique in the study.
            train: name of the training data.
            data: the training data.
            sets: the sets to measure it on; the last is held out.
            place: where the study runs.
        """
        most = place.limit * self.length or self.training.bytes
        folder = f"{place.out}/models/{name}"
        row = StudyRow(network.name, str(Spec("llm", folder)), bytes=self.measured, shard=self.measured)
        rates: list[RateShard] = []
        for one, part in sets:
            rates += self._shards(one, part, row, self.length, place.limit)
        return TrainedShard(
            id=f"{train}/{name}",
            set=train,
            row=network.name,
            model=network.model,
            budget=dataclasses.replace(self.training, bytes=min(self.training.bytes, most)),
            seed=self.seed,
            train=data.cut(0, data.size),
            folder=folder,
            rates=tuple(rates),
            gpus=network.gpus,
        )

    @staticmethod
    def trained(records: Sequence[Record]) -> dict[tuple[str, str], tuple[Record, dict[str, Rates]]]:
        """Return (training, rates by set) of each network, by its name and the name of its training data."""
        found = {}
        for record in records:
            if "training" in record:
                sets = {one["set"] for one in record["rates"]}
                rates = {name: Rates.total(one for one in record["rates"] if one["set"] == name) for name in sets}
                found[record["row"], record["set"]] = (record["training"], rates)
        return found

    def plain(self, records: Sequence[Record]) -> dict[tuple[str, str], Rates]:
        """Return the rates of the rows that are not trained, by row and set."""
        rates = self.rates([record for record in records if "training" not in record])
        return {(row, name): one for (row, name, _), one in rates.items()}
