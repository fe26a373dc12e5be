"""The base of all studies: sets, rows, the shards planned from both, and the tables made from their records."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compgen.coding.model_compressor import ModelCompressor
from compgen.compressors import Compressor
from compgen.errors import MissingExtraError, UsageError
from compgen.evaluation.accounting import Rates
from compgen.evaluation.data import DataSet, Piece, SetConfig, permutation
from compgen.evaluation.shards import CountedShard, RateShard, Record, Shard, batches, build
from compgen.evaluation.tables import Table
from compgen.models import ByteModel, load

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyRow:
    """A compressor in a study, as a config describes it (``[[rows]]``).

    Attributes:
        name: name of the row in tables.
        spec: spec of a compressor, or of a model, which stands for its arithmetic coder; ``model:gzip`` is the coder
            derived from gzip.
        bytes: the most bytes of each set at each length; they are a sample drawn by the seed. 0 for all.
        coded: the most bytes of each set at each length that a model codes and writes; the rest of its sample is only
            counted by the paper's accounting. 0 for all.
        shard: bytes of a shard; 0 for the study's value.
        lengths: bytes of a chunk, 0 for the whole set in one; empty for the study's values.
        sets: names of the sets that the row is run on; empty for all.
        decoded: chunks of each set and length that are decoded and compared; -1 for the study's value.
        gpus: GPUs that each shard of the row needs, for the engine ``ray``.
        paper: the paper's name for this row; empty if the paper has no such row.
    """

    name: str
    spec: str
    bytes: int = 0
    coded: int = 0
    shard: int = 0
    lengths: tuple[int, ...] = ()
    sets: tuple[str, ...] = ()
    decoded: int = -1
    gpus: int = 0
    paper: str = ""


@dataclass(frozen=True)
class Place:
    """Where a study runs.

    Attributes:
        root: the data root; None for made data.
        limit: the most chunks of each set; 0 for all.
        out: the run's folder.
    """

    root: str | None
    limit: int = 0
    out: str = "."


@dataclass(frozen=True)
class Study(ABC):
    """A study, as a config describes it.

    Attributes:
        title: title of the report.
        sets: the data sets.
        rows: the compressors.
        lengths: bytes of a chunk; 0 for a whole set in one.
        seed: seed of everything that is drawn.
        shard: bytes of a shard.
        decoded: chunks of each row, set and length that are decoded and compared, spread evenly over its shards.
    """

    title: str
    sets: tuple[SetConfig, ...]
    rows: tuple[StudyRow, ...] = ()
    lengths: tuple[int, ...] = (0,)
    seed: int = 0
    shard: int = 1 << 19
    decoded: int = 32

    paper = False
    """Whether shards count by the paper's accounting, too."""

    def __post_init__(self) -> None:
        names, rows = [one.name for one in self.sets], self.row_names
        if not names or not rows:
            raise UsageError("a study needs sets and rows, at least one of each")
        for group, known in (("sets", names), ("rows", rows)):
            for name in known:
                if known.count(name) > 1 or not name or "/" in name:
                    raise UsageError(f"{group} need names, each its own and without '/', not '{name}'")
        for row in self.rows:
            for name in row.sets:
                if name not in names:
                    raise UsageError(f"row '{row.name}': there is no set '{name}'")
            if min((row.bytes, row.coded, row.shard, *row.lengths, *self.lengths)) < 0:
                raise UsageError(f"row '{row.name}': bytes, coded, shard and lengths must be 0 or more")
        if self.shard < 1 or self.decoded < 0:
            raise UsageError("shard must be 1 byte or more, decoded 0 or more")

    def build(self, spec: str) -> Compressor | ByteModel:
        """Return the compressor or model that a row's spec names."""
        return build(spec)

    @property
    def row_names(self) -> list[str]:
        """The names of the rows that the study measures."""
        return [row.name for row in self.rows]

    def missing(self) -> dict[str, str]:
        """Return why rows cannot run on this machine, by name: a message for each row that lacks an optional package.

        Raises:
            UsageError: a row's spec is wrong, or names a model that does not exist.
        """
        reasons = {}
        for row in self.rows:
            try:
                built = self.build(row.spec)
                if isinstance(built, ModelCompressor):
                    built = load(built.model)
                if isinstance(built, ByteModel):
                    built.parameters  # noqa: B018 - raises if the weights do not exist
            except MissingExtraError as error:
                reasons[row.name] = str(error)
            except UsageError as error:
                raise UsageError(f"row '{row.name}': {error}") from None
        return reasons

    def plan(self, place: Place) -> list[Shard]:
        """Return the shards in the order of the finished results file.

        Raises:
            UsageError: data is missing.
        """
        return list(self._plan(place))

    def _plan(self, place: Place) -> Iterator[Shard]:
        missing = self.missing()
        rows = [(row, self.build(row.spec)) for row in self.rows if row.name not in missing]
        for one in self.sets:
            for row, compressor in rows:
                if row.sets and one.name not in row.sets:
                    continue
                is_model = isinstance(compressor, ModelCompressor)
                data = opened(one, place.root, self.seed, is_model and bool(one.models))
                for length in row.lengths or self.lengths:
                    if is_model and self.paper:
                        yield from self._counted(one, data, row, length, place.limit)
                    yield from self._shards(one, data, row, length, place.limit)

    def _shards(self, one: SetConfig, data: DataSet, row: StudyRow, length: int, limit: int) -> Iterator[RateShard]:
        """Yield the shards that compress the row's chunks."""
        parts = self._parts(one, data, row, length, limit, row.coded)
        decoded = self.decoded if row.decoded < 0 else row.decoded
        for part, chunks in enumerate(parts):
            yield RateShard(
                id=f"{one.name}/{row.name}/{length}/{part}",
                set=one.name,
                row=row.name,
                spec=row.spec,
                length=length,
                chunks=chunks,
                decoded=decoded * (part + 1) // len(parts) - decoded * part // len(parts),
                mapping=one.mapping if self.paper else "",
                gpus=row.gpus,
            )

    def _counted(self, one: SetConfig, data: DataSet, row: StudyRow, length: int, limit: int) -> Iterator[CountedShard]:
        """Yield the shards that count a model's chunks by the paper's accounting."""
        for part, chunks in enumerate(self._parts(one, data, row, length, limit)):
            yield CountedShard(
                id=f"{one.name}/{row.name}/{length}/counted/{part}",
                set=one.name,
                row=row.name,
                spec=row.spec,
                length=length,
                chunks=chunks,
                mapping=one.mapping,
                gpus=row.gpus,
            )

    def _parts(
        self, one: SetConfig, data: DataSet, row: StudyRow, length: int, limit: int, most: int = 0
    ) -> list[tuple[tuple[Piece, ...], ...]]:
        """Return the pieces of the row's chunks, shard by shard, of ``most`` bytes at most if that is given.

        Raises:
            UsageError: the set is shorter than a chunk.
        """
        size, begins = self._chunks(one, data, row, length, limit)
        if most:
            begins = begins[: max(1, most // size)]
        parts = batches(begins, max(1, (row.shard or self.shard) // size))
        return [tuple(data.cut(begin, size) for begin in places) for places in parts]

    def _chunks(self, one: SetConfig, data: DataSet, row: StudyRow, length: int, limit: int) -> tuple[int, list[int]]:
        """Return the bytes of a chunk, and where the row's chunks of ``data`` begin.

        Raises:
            UsageError: the set is shorter than a chunk.
        """
        size = length or data.size
        begins = list(range(0, data.size - size + 1, size))
        if row.bytes and length:
            # The sample consists of blocks as long as the longest chunk, so all lengths are measured on the same bytes.
            block = max(row.lengths or self.lengths)
            blocks = chosen(data.size // block, max(1, row.bytes // block), 0, self.seed, one.name)
            begins = [place * block + inside for place in blocks for inside in range(0, block - size + 1, size)]
            begins = begins[: max(1, row.bytes // size)]
        if limit:
            begins = begins[:limit]
        if not length and limit:
            size = min(size, 2048 * limit)
        if not begins:
            raise UsageError(f"set '{one.name}' has {data.size} bytes, less than one chunk of {size}")
        return size, begins

    def rates(self, records: Sequence[Record]) -> dict[tuple[str, str, int], Rates]:
        """Return the sums over the records of rate shards, by row, set and chunk length."""
        groups: dict[tuple[str, str, int], list[Record]] = {}
        for record in records:
            groups.setdefault((record["row"], record["set"], record["length"]), []).append(record)
        return {key: Rates.total(group) for key, group in groups.items()}

    @abstractmethod
    def tables(self, records: Sequence[Record]) -> list[Table]:
        """Return the tables of the study."""

    def figures(self, records: Sequence[Record]) -> dict[str, Figure]:
        """Return the figures of the study by name; none by default."""
        return {}


@functools.cache
def opened(one: SetConfig, root: str | None, seed: int, for_models: bool) -> DataSet:
    """``SetConfig.open``, called once in a process: to list and size many files takes a while."""
    return one.open(root, seed, for_models)


def chosen(count: int, most: int, limit: int, seed: int, name: str) -> list[int]:
    """Return the numbers of the chunks to take.

    Args:
        count: number of chunks there are.
        most: size of the sample, drawn by ``seed`` and ``name``; 0 for all chunks.
        limit: take only the first of these; 0 for no limit.
        seed: seed of the sample.
        name: name of the set.
    """
    numbers = list(range(count))
    if most and most < count:
        numbers = sorted(int(number) for number in permutation(count, seed, name)[:most])
    return numbers[:limit] if limit else numbers
