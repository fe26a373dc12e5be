"""Networks over bytes: integer arithmetic that is the same everywhere, its backends, and states over it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import compgen
from compgen.coding import byte_segment
from compgen.coding.container import ModelFrame, SegmentFrame
from compgen.errors import IncompatibleError, OutOfMemoryError, UsageError
from compgen.models import load
from compgen.models.base import State, find
from compgen.testing import check_model
from tests.conftest import Run
from tests.fuzz.containers import frames

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from compgen.neural.bytes import network, weights  # noqa: E402
from compgen.neural.bytes.cache import KVCache  # noqa: E402
from compgen.neural.bytes.cuda_state import DeviceLanguageState, interval_ends  # noqa: E402
from compgen.neural.bytes.network import LOOPS, ByteNetwork  # noqa: E402
from compgen.neural.bytes.state import frequencies_of  # noqa: E402
from compgen.neural.bytes.torch_forward import TorchForward  # noqa: E402
from compgen.neural.bytes.weights import Matrix, NetworkShape, QuantisedWeights  # noqa: E402
from compgen.neural.cuda_graphs import located  # noqa: E402
from compgen.neural.llm import LLM, ByteLLM  # noqa: E402
from tests.neural import tiny  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.byte_network(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> ByteLLM:
    found = load(f"llm:{folder}")
    assert isinstance(found, ByteLLM)
    return found


def likely(model: ByteLLM) -> bytes:
    """A sample of the model, which its random weights compress."""
    return compgen.sample(model, length=800, temperature=0.2, seed=1)[0].data


def test_conforms(model: ByteLLM) -> None:
    """To the last count: rows do not depend on each other, and steps give the frequencies of a fresh start."""
    check_model(model)
    check_model(LLM.open(model.path, window=3))


def test_the_integers_follow_the_floats(folder: Path, model: ByteLLM, prose: bytes) -> None:
    from transformers import LlamaForCausalLM

    reference = LlamaForCausalLM.from_pretrained(folder)
    data = prose[:30]
    with torch.no_grad():
        logits = reference(input_ids=torch.tensor([[256, *data]])).logits[0, :, :256]
    expected = torch.log_softmax(logits.double(), dim=1).numpy() / np.log(2)
    state = model.start([b""])
    found = []
    for symbol in data:
        found.append(state.log2_probs()[0])
        state.extend(np.array([symbol], dtype=np.uint8))
    found.append(state.log2_probs()[0])
    assert expected.std() > 0.8, "a distribution that is even would prove nothing"
    assert np.abs(np.array(found) - expected)[expected > -10].max() < 0.35
    kl = (np.exp2(expected) * (expected - np.array(found))).sum(axis=1)
    assert kl.max() < 0.004


def test_a_stretch_is_read_as_byte_by_byte(model: ByteLLM, prose: bytes) -> None:
    """Through several windows, with rows at different positions."""
    symbols = np.frombuffer(prose[:150], dtype=np.uint8).reshape(50, 3)
    prompts = [b"", b"abcde", prose[:19]]
    one, other = model.start(prompts), model.start(prompts)
    low, width = one.consume(symbols)
    for step, column in enumerate(symbols):
        a, b = other.intervals(column)
        assert np.array_equal(a, low[step])
        assert np.array_equal(b, width[step])
        other.extend(column)
    assert np.array_equal(one.frequencies(), other.frequencies())


@dataclass(frozen=True)
class OnADevice(ByteLLM):
    """A model with the states of a GPU, computed on a CPU and without CUDA graphs."""

    name: ClassVar[str] = "on-a-device"

    def start(self, prompts: Sequence[bytes]) -> State:
        longest = (self.network.shape.positions - 1) // 2
        return DeviceLanguageState.start(self.network, self.window or longest, prompts)


def test_a_device_gives_the_integers_that_a_cpu_gives(model: ByteLLM, prose: bytes) -> None:
    """Byte by byte, whether ``locate`` has read ahead or not, through several windows, after forks, and in files."""
    device = OnADevice(model.path)
    check_model(device)
    check_model(OnADevice(model.path, window=3))
    prompts, generator = [b"", b"abcde", prose[:19]], np.random.default_rng(7)
    one, other = model.start(prompts), device.start(prompts)
    for step in range(120):
        points = generator.integers(1 << 24, size=3)
        found = [state.locate(points) for state in (one, other)]
        assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
        if step % 7 == 5:
            one, other = one.fork([2, 0, 1]), other.fork([2, 0, 1])
        symbols = found[0][0] if step % 5 else generator.integers(256, size=3).astype(np.uint8)
        if step % 11 == 3:
            assert np.array_equal(one.frequencies(), other.frequencies())
        for state in (one, other):
            state.extend(symbols)
    symbols = np.frombuffer(prose[:150], dtype=np.uint8).reshape(50, 3)
    assert all(np.array_equal(a, b) for a, b in zip(one.consume(symbols), other.consume(symbols), strict=True))
    data = likely(model)
    blob = compgen.compress(data, model, lanes=3)
    coded = next(frame for frame in frames(blob) if isinstance(frame, SegmentFrame))
    assert coded.coded
    assert byte_segment.decode(device.start([b""] * 3), coded.body, len(data)) == data


def test_a_device_shares_points_as_a_cpu_does() -> None:
    generator = np.random.default_rng(2)
    logits = torch.from_numpy(generator.normal(size=(300, 256)).astype(np.float32)) * 5
    logits[1], logits[2, :128], logits[3, 3:] = 1.5, -200.0, -1000.0
    ends = np.cumsum(frequencies_of(logits), axis=1)
    assert np.array_equal(interval_ends(logits).numpy(), ends)
    points = generator.integers(1 << 24, size=300)
    points[:3] = 0, (1 << 24) - 1, ends[2, 17]
    assert np.array_equal(
        located(torch.from_numpy(ends), torch.from_numpy(points)).numpy(),
        find(np.diff(ends, axis=1, prepend=0), points),
    )


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch compute everything: compiled loops never take over."""
    monkeypatch.setattr(LOOPS, "cost", math.inf)


@pytest.mark.usefixtures("uncompiled")
def test_a_full_device_is_an_error_of_its_own(model: ByteLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes are halved until they fit; if a single lane does not fit, the error says so."""
    most = 2

    def small(torch_forward: Any, cache: Any, symbols: Any, *rest: Any) -> Any:
        if len(symbols) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(torch_forward, cache, symbols, *rest)

    forward = TorchForward.forward
    data = likely(model)
    monkeypatch.setattr(TorchForward, "forward", small)
    blob = compgen.compress(data, model, lanes=16)
    assert [frame.lanes for frame in frames(blob) if isinstance(frame, ModelFrame)] == [2]
    assert compgen.decompress(blob, model) == data
    most = 0
    with pytest.raises(OutOfMemoryError, match="1 rows do not fit"):
        compgen.compress(data, model)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
@pytest.mark.parametrize("place", ["network.ByteNetwork.step", "cuda_state.interval_ends"])
def test_a_step_that_fills_the_device_is_an_error_of_its_own(
    model: ByteLLM, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    start = OnADevice(model.path).start

    def full(*arguments: object) -> None:
        raise error

    located, read = start([b"one", b"two"]), start([b"one", b"two"])
    monkeypatch.setattr(f"compgen.neural.bytes.{place}", full)
    with pytest.raises(OutOfMemoryError, match="2 rows do not fit"):
        located.locate(np.zeros(2, dtype=np.int64))
    if place == "cuda_state.interval_ends":
        with pytest.raises(OutOfMemoryError, match="2 rows do not fit"):
            read.consume(np.zeros((3, 2), dtype=np.uint8))


def test_products_are_the_same_by_integers_and_by_floats(model: ByteLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(44, 2104))
    rows = torch.from_numpy(generator.integers(-127 * 128, 127 * 128 + 1, (5, 2104)).astype(np.float32))
    rows[0] = 127 * 128  # the largest sums
    one = Matrix(np.abs(matrix), "cpu").product(rows, 0.5)
    monkeypatch.setattr(weights, "int8_products", lambda device: False)
    assert torch.equal(Matrix(np.abs(matrix), "cpu").product(rows, 0.5), one)


class Watch(TorchDispatchMode):
    """Records the numbers by which tensors are divided, and the precision in which float32 is multiplied."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.divisors: set[float] = set()
        self.precisions: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.div.Tensor and not isinstance(args[1], torch.Tensor):
            self.divisors.add(args[1])
        if func is torch.ops.aten.matmul.default:
            self.precisions |= {part.matmul.fp32_precision for part in (torch.backends.cuda, torch.backends.mkldnn)}
        return func(*args, **(kwargs or {}))


@pytest.fixture
def rounded_products() -> Iterator[None]:
    """Set torch as some containers do: TF32 for products on CUDA, bfloat16 for products on a CPU that has it."""
    settings = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    before = [setting.fp32_precision for setting in settings]
    torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision = "tf32", "bf16"
    yield
    assert [setting.fp32_precision for setting in settings] == ["tf32", "bf16"]
    torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision = before


@pytest.mark.usefixtures("rounded_products", "uncompiled")
def test_nothing_is_computed_that_cuda_computes_differently(model: ByteLLM, prose: bytes) -> None:
    """CUDA multiplies by the reciprocal of a number instead of dividing by it (PyTorch's issue 186618)."""
    with Watch() as seen:
        model.start([prose[:9]])
    assert seen.divisors
    assert {math.frexp(number)[0] for number in seen.divisors} == {0.5}, "only powers of two have exact reciprocals"
    assert seen.precisions == {"ieee"}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let compiled loops compute all, on threads from two symbols on; the list is of the rows of each call."""
    pytest.importorskip("numba")
    from compgen.neural.bytes.numba_forward import NumbaForward

    calls: list[int] = []
    forward = NumbaForward.forward

    def counted(loops: NumbaForward, cache: KVCache, symbols: Any, begin: Any) -> Any:
        calls.append(len(symbols))
        return forward(loops, cache, symbols, begin)

    monkeypatch.setattr(NumbaForward, "forward", counted)
    monkeypatch.setattr(LOOPS, "cost", 0)
    monkeypatch.setattr(network, "COMPILED_THREADED", 2)
    return calls


@pytest.mark.usefixtures("compiled")
def test_compiled_loops_conform(model: ByteLLM) -> None:
    check_model(model)
    check_model(LLM.open(model.path, window=3))


@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_loops_give_the_integers_that_torch_gives(
    folder: Path, prose: bytes, compiled: list[int], monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """To the last bit, of tiny and of shipped weights: rows apart, many symbols at once or one, forked, reopened."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for path, reach in ((str(folder), 19), ("", 40)):
            model = LLM.open(path, window=reach)
            prompts = [b"", b"abcde", prose[:19], bytes(30), prose[50:59]]
            symbols = np.frombuffer(prose[:250], dtype=np.uint8).reshape(50, 5)
            found = []
            for cost in (0, math.inf):
                monkeypatch.setattr(LOOPS, "cost", cost)
                compiled.clear()
                state = model.start(prompts)
                places = [state.consume(symbols[:27])]
                state = state.fork([2, 0, 1, 4, 2])
                logits = []
                for column in symbols[27:]:
                    places.append(state.intervals(column))
                    state.extend(column)
                    logits.append(state._logits.clone())  # type: ignore[attr-defined]
                assert {1, 5} <= set(compiled) if cost == 0 else compiled == []
                found.append((places, logits))
            (one, ours), (other, theirs) = found
            assert all(np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("width", "inner", "heads", "kv_heads", "head_width"), [(64, 1536, 4, 1, 24), (1096, 64, 2, 1, 40)]
)
def test_compiled_loops_of_other_shapes(
    compiled: list[int], monkeypatch: pytest.MonkeyPatch,
    width: int, inner: int, heads: int, kv_heads: int, head_width: int,
) -> None:  # fmt: skip
    """Sums beyond int32, heads whose width is no power of two, and weights with heavy tails."""
    shape = NetworkShape(2, width, heads, kv_heads, head_width, theta=1e4, positions=100, inner_width=inner)
    generator = np.random.default_rng(3)
    sizes = shape.tensor_sizes(257)
    tensors = {name: generator.standard_t(3, size=size) for name, size in sizes.items()}
    net = ByteNetwork(QuantisedWeights(shape, tensors.__getitem__))
    symbols = torch.from_numpy(generator.integers(256, size=(3, 40)))
    places = np.array([0, 3, 7])  # rows skip positions, whose slots stay empty
    found = []
    for cost in (0, math.inf):
        monkeypatch.setattr(LOOPS, "cost", cost)
        cache = net.cache(3, 60)
        logits = [net.forward(cache, symbols[:, :20], 0 * places)]
        logits += [net.forward(cache, symbols[:, t : t + 1], t + places) for t in range(20, 40)]
        found.append(torch.cat(logits, dim=1))
    monkeypatch.setattr(LOOPS, "cost", 0)
    with pytest.raises(IndexError, match="no slot"):
        net.forward(cache, symbols[:, :1], 58 + places)  # a packed cache of 60 slots has 64
    assert len(compiled) == 21
    assert torch.equal(*found)
    assert found[0].std() > 1


def test_compiled_loops_take_over_in_the_middle(
    model: ByteLLM, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOOPS, "cost", math.inf)
    data = likely(model)
    blob = compgen.compress(data, model, lanes=3)
    assert compiled == []
    monkeypatch.setattr(LOOPS, "cost", LOOPS.spent + 0.05)
    assert compgen.decompress(blob, model) == data
    assert compiled


def test_files_decode_under_other_numbers_of_threads_and_other_instructions(
    folder: Path, model: ByteLLM, prose: bytes, tmp_path: Path
) -> None:
    data = prose[:300]
    blob = compgen.compress(data, model, lanes=3)
    script = (
        "import sys, torch, compgen; torch.set_num_threads(int(sys.argv[2]));"
        "from compgen.neural.bytes.network import LOOPS; LOOPS.cost = float(sys.argv[4]);"
        "data = sys.stdin.buffer.read(); spec = 'llm:' + sys.argv[1];"
        "assert compgen.compress(data, spec, lanes=3) == bytes.fromhex(sys.argv[3])"
    )
    never, at_once = "inf", "0"  # seconds of torch's work before loops are compiled
    for threads, compiling, setting in (
        ("1", never, {"ATEN_CPU_CAPABILITY": "default"}),
        ("2", never, {"ATEN_CPU_CAPABILITY": "avx2"}),
        ("1", at_once, {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder), threads, blob.hex(), compiling],
            input=data, env={**os.environ, **setting}, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


def test_round_trips(model: ByteLLM, prose: bytes) -> None:
    for data in (b"", b"a", prose[:200], bytes(100), bytes(range(256)), "naïve ☃".encode(), b"\xff\xfe<|start|>\x80"):
        for lanes in (1, 4):
            blob = compgen.compress(data, model, lanes=lanes)
            assert compgen.decompress(blob, model) == data


def test_a_path_in_a_file_wants_the_callers_word(model: ByteLLM, folder: Path) -> None:
    data = likely(model)
    blob = compgen.compress(data, model)
    with pytest.raises(IncompatibleError, match=r"--compressor .* where these weights lie"):
        compgen.decompress(blob)
    assert compgen.decompress(blob, model) == data


def test_a_pipe_has_the_lanes_of_a_file(model: ByteLLM, cgn: Run, tmp_path: Path) -> None:
    data = likely(model)
    (tmp_path / "file").write_bytes(data)
    assert cgn("compress", str(tmp_path / "file"), "-c", str(model)).returncode == 0
    piped = cgn("compress", "-", "-c", str(model), stdin=data)
    assert piped.stdout == (tmp_path / "file.cgn").read_bytes()
    assert len(piped.stdout) < len(data) + 43, "coded, not stored"


def test_weights_may_have_moved(model: ByteLLM, folder: Path, tmp_path: Path) -> None:
    """The weights decide, and not their path: a file of somebody else's decodes with one's own copy of the weights."""
    data = likely(model)
    (tmp_path / "copy").symlink_to(folder)
    for written, there in (
        (str(model), f"llm:{tmp_path}/copy"),
        (f"{model}+backoff", f"llm:{tmp_path}/copy+backoff"),
    ):
        assert compgen.decompress(compgen.compress(data, written), there) == data
    for other in (f"llm:{tmp_path}/copy,window=7", "backoff", f"llm:{tmp_path}/copy+backoff"):
        with pytest.raises(UsageError, match="was written with"):
            compgen.decompress(compgen.compress(data, model), other)


def test_other_weights_are_refused(folder: Path, model: ByteLLM, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    data = likely(model)
    of_one, of_two = (compgen.compress(data, model, lanes=lanes) for lanes in (1, 2))
    versions = model.versions
    changed = LlamaForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        changed.model.layers[1].mlp.down_proj.weight[3, 4] += 5
    changed.save_pretrained(tmp_path / "other")
    moved = folder.with_name("moved")
    folder.rename(moved)
    (tmp_path / "other").rename(folder)
    try:
        network.load.cache_clear()
        assert model.versions != versions
        here = f"here: {model.versions}"
        for blob, builds in (of_one, here), (of_two, f"written with {versions}; {here}"):  # that of one lane is short
            with pytest.raises(IncompatibleError, match=f"behaves otherwise.*{builds}"):
                compgen.decompress(blob, str(model))
    finally:
        folder.rename(folder.with_name("gone"))
        moved.rename(folder)
        network.load.cache_clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "not supported"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "not supported"),
        ({"num_hidden_layers": 5}, "lacks the tensor"),
        ({"hidden_size": None}, "does not describe"),
        ({"num_attention_heads": 0, "head_dim": None}, "does not describe"),
        ({"num_attention_heads": 0}, "describes no network"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "describes no network"),
        ({"head_dim": 15}, "describes no network"),
        ({"max_position_embeddings": 2}, "describes no network"),
        ({"rope_scaling": {"type": "linear", "factor": 8}}, "not supported"),
        ({"rope_parameters": [1]}, "not supported"),
        ({"tie_word_embeddings": True}, "tied embeddings"),
        ({"num_attention_heads": 8}, "is not of this config.json: model.layers.0.self_attn.q_proj.weight is 64 x 48"),
        ({"hidden_size": 24}, "is not of this config.json: model.embed_tokens.weight is 257 x 48"),
        ({"intermediate_size": 64}, "is not of this config.json"),
    ],
)
def test_a_network_of_another_kind_is_an_error(
    folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match=message):
        load(f"llm:{tmp_path}").start([b""])


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no config\.json"):
        load(f"llm:{tmp_path}").start([b""])
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match="not JSON"):
        load(f"llm:{tmp_path}").start([b""])
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UsageError, match=r"no model\.safetensors"):
        load(f"llm:{tmp_path}").start([b""])
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    with pytest.raises(UsageError, match="cannot be read"):
        load(f"llm:{tmp_path}").start([b""])
    with pytest.raises(UsageError, match="is a file"):
        load(f"llm:{tmp_path / 'config.json'}").start([b""])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="no folder here"):
        load("llm:nobody/nothing").start([b""])
    with pytest.raises(UsageError, match="at most 20"):
        load(f"llm:{folder},window=21").start([b""])
    monkeypatch.setenv("COMPGEN_DEVICE", "abacus")
    with pytest.raises(UsageError, match="cpu or cuda"):
        load(f"llm:{folder}").start([b""])


def test_it_mixes_with_others(model: ByteLLM, prose: bytes) -> None:
    mixture = load(f"llm:{model.path}+backoff:order=2")
    assert compgen.decompress(compgen.compress(prose[:200], mixture), mixture) == prose[:200]


def test_the_shipped_weights_know_english(prose: bytes) -> None:
    result = compgen.score("llm", prose[600:1200], prose[:600])
    assert result.derived_bpb < 2.0, "gzip's derived model needs 2.23 here, backoff of order 4 2.48"
    blob = compgen.compress(prose[:300], "llm", lanes=2)
    assert compgen.decompress(blob) == prose[:300], "a file may choose what the package ships"
