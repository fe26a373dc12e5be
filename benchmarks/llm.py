"""Language models: bytes per second, beside what the machine could do and what a plain loop does.

    python -m benchmarks.llm [--device cpu|cuda] [--lanes N] [--context N] [--path DIR | --random] [--dtype TYPE]
                             [--steps N] [--uncompiled]

It measures the shipped model, one in a folder, or one of 135 million random weights (Llama type, 30 layers of 576,
49,152 tokens).

Coding reads known bytes many at once; decoding takes a step for each byte of each lane. On a CPU with numba, compiled
loops do both, here from the first byte on; on a GPU with Triton its kernels do. `--uncompiled` measures torch alone.
Models with a tokeniser take a step for each token, in coding and in decoding.

The limit of a step is the time that its matrix products take, at the speed measured here on matrices of the same
shapes, plus the time to read keys and values, at the bandwidth measured here. It is given in the type that the model
computes in. For networks over bytes there are two limits: in float32, in which such networks are mostly computed, and
in this project's arithmetic, with two int8 products for each and a KV cache of the type in use.

A full window reopens, which reads its last half again, once in as many steps as there is context. The rate with that is
a row of its own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.pytorch_utils import Conv1D

from compgen.models.base import PRECISION
from compgen.neural import folder
from compgen.neural.bytes.network import LOOPS, ByteNetwork
from compgen.neural.bytes.state import START
from compgen.neural.llm import LLM, ByteLLM, TokenLLM
from compgen.neural.tokens.engine import DTYPES, CausalLM, cache_argument
from compgen.neural.tokens.token_state import TokenCoderState
from compgen.neural.tokens.tokeniser import Tokeniser

TEXT = (Path(__file__).resolve().parents[1] / "examples/prompts/lighthouse.txt").read_bytes()


def best(run: Callable[[], object], device: str, repeats: int = 7) -> float:
    """Return the least seconds that ``run`` takes; on a GPU, runs are many to a graph, which waits for no launch."""
    count, once = 1, run
    if device == "cuda":
        run()
        count, graph = 32, torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(count):
                run()
        once = graph.replay
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        once()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times) / count


def now(device: str) -> float:
    """Return the time in seconds, after the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory(device: str) -> float:
    """Return the most memory held so far, megabytes."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def shapes(network: ByteNetwork) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of every matrix product of a step."""
    s = network.shape
    heads = s.heads * s.head_width
    layer = [
        (s.width, heads + 2 * s.kv_heads * s.head_width),
        (heads, s.width),
        (s.width, 2 * s.inner_width),
        (s.inner_width, s.width),
    ]
    return layer * s.layers + [(s.width, 264)]


def products(sizes: list[tuple[int, int]], rows: int, device: str, dtype: torch.dtype) -> float:
    """Return the seconds that the matrix products of a step take; in int8, each is two."""
    total = 0.0
    for inputs, outputs in set(sizes):
        if dtype == torch.int8:
            a = torch.ones((2 * rows, inputs), dtype=dtype, device=device)
            b = torch.ones((outputs, inputs), dtype=dtype, device=device).t()
            seconds = best(lambda a=a, b=b: torch._int_mm(a, b), device, 30)  # type: ignore[misc]
        else:
            x, y = (torch.ones(size, dtype=dtype, device=device) for size in ((rows, inputs), (inputs, outputs)))
            seconds = best(lambda x=x, y=y: x @ y, device, 30)  # type: ignore[misc]
        total += seconds * sizes.count((inputs, outputs))
    return total


def bandwidth(device: str) -> float:
    """Return how fast memory is read, bytes per second."""
    block = torch.ones(1 << 26, device=device)
    return 4 * len(block) / best(block.sum, device)


def plain_loop(reference: Any, tokens: torch.Tensor, context: int) -> float:
    """Return the seconds of a step of ``reference`` over (B, T) tokens with a dynamic cache; T is over ``context``."""
    with torch.no_grad():
        cache, argument = DynamicCache(config=reference.config), cache_argument(reference)
        for begin in range(0, context, 64):
            known = tokens[:, begin : min(begin + 64, context)]
            reference(input_ids=known, use_cache=True, logits_to_keep=1, **{argument: cache})
        times = []
        for position in range(context, tokens.shape[1]):
            begin_time = time.perf_counter()
            logits = reference(input_ids=tokens[:, position, None], use_cache=True, **{argument: cache}).logits[:, -1]
            torch.softmax(logits, dim=1).amax(dim=1).cpu()
            times.append(time.perf_counter() - begin_time)
    return float(np.median(times))


def timed_steps(step: Callable[[NDArray[np.int64]], object], rows: NDArray[np.int64]) -> float:
    """Return the median seconds that ``step`` takes for each of ``rows``."""
    seconds = []
    for row in rows:
        begin = time.perf_counter()
        step(row)
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def over_bytes(path: str, device: str, compiled: bool, lanes: int, context: int, steps: int) -> dict[str, Any]:
    """Measure a network over bytes."""
    LOOPS.cost = 0.0  # compiled from the first byte on
    model = LLM.open(path)
    assert isinstance(model, ByteLLM)
    network = model.network
    if not compiled:
        network.compilable, network.kernels = False, None
    data = np.frombuffer(TEXT * (1 + lanes * (context + steps) // len(TEXT)), dtype=np.uint8)
    table = np.ascontiguousarray(data[: lanes * (context + steps)].reshape(lanes, -1).T)
    prompts = [table[:context, lane].tobytes() for lane in range(lanes)]
    model.start(prompts).consume(table[context:])  # loads and compiles what is needed once
    state = model.start(prompts)
    begin = now(device)
    state.consume(table[context:])
    encode = lanes * steps / (now(device) - begin)

    begin = now(device)
    state = model.start(prompts)
    opening = now(device) - begin
    points = np.random.default_rng(1).integers(1 << PRECISION, size=(steps, lanes))
    step = timed_steps(lambda row: state.extend(state.locate(row)[0]), points)
    peak = peak_memory(device)

    reference: Any = LlamaForCausalLM.from_pretrained(folder.find(path), dtype=torch.float32)
    reference.to(device)
    sizes = shapes(network)
    s = network.shape
    read = 2 * s.layers * lanes * context * s.kv_heads * s.head_width
    speed = bandwidth(device)
    item = network.cache(1, 1).keys.element_size()
    limits = {
        "float32": products(sizes, lanes, device, torch.float32) + 4 * read / speed,
        "int8": products(sizes, lanes, device, torch.int8) + item * read / speed,
    }
    tokens = torch.from_numpy(np.concatenate([np.full((1, lanes), START), table]).T.astype(np.int64)).to(device)
    few = tokens[:8, : context + 1]
    with torch.no_grad():
        floats = torch.log_softmax(reference(input_ids=few).logits[:, :, :256].double(), dim=2)
    ours = network.forward(network.cache(len(few), context + 1), few, np.zeros(len(few), dtype=np.int64))
    integers = torch.log_softmax(ours[:, :, :256].double(), dim=2)
    loss = float((floats.exp() * (floats - integers)).sum(dim=2).mean()) / math.log(2)
    print(f"rounding costs               {loss:10.5f} bits per byte (Kullback-Leibler, against float32)")
    return {
        "encode": encode,
        "decode": lanes / step,
        "decode_with_turns": lanes / (step + opening / context),
        "peak_mb": peak,
        "limits": {name: lanes / limit for name, limit in limits.items()},
        "plain": lanes / plain_loop(reference, tokens[:, : context + 1 + min(steps, 16)], context + 1),
        "forwards_per_byte": 1.0,
        "compiled": network.compilable or network.kernels is not None,
        "rounding_bits": loss,
        "bandwidth": speed,
    }


def random_model(device: str, dtype: str) -> tuple[CausalLM, Tokeniser]:
    """Return a model of 135 million random weights, and a tokeniser whose tokens are bytes and pairs of bytes."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    model: Any = LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.to(device).eval().requires_grad_(requires_grad=False)
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(a, b) for a in characters for b in characters][: config.vocab_size - 257]
    names = ["<|endoftext|>", *characters, *(a + b for a, b in pairs)]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = names[0]
    return CausalLM(model, device, dtype), Tokeniser(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end)
    )


def over_tokens(engine: CausalLM, tokens: Tokeniser, lanes: int, context: int, steps: int) -> dict[str, Any]:
    """Measure a model with a tokeniser, token by token."""
    text = TEXT * (1 + 16 * context // len(TEXT))
    prompts = [(text + text)[lane % len(text) :][: 16 * context] for lane in range(lanes)]
    encoding = tokens.encode(tokens.lead + TEXT)

    state = TokenCoderState.start(engine, tokens, prompts, window=context)
    known = np.resize(np.array(encoding), (steps, lanes))
    encoding_step = timed_steps(state.append, known)
    points = np.random.default_rng(1).integers(1 << TokenCoderState.precision, size=(steps, lanes))
    begin = now(engine.device)
    state = TokenCoderState.start(engine, tokens, prompts, window=context)
    opening = now(engine.device) - begin
    step = timed_steps(state.append_at, points)
    peak = peak_memory(engine.device)
    per_token = len(TEXT) / len(encoding)

    config = engine.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dtype = engine.model.dtype
    modules = list(engine.model.modules())
    sizes = [(m.in_features, m.out_features) for m in modules if isinstance(m, torch.nn.Linear)]
    sizes += [(m.nx, m.nf) for m in modules if isinstance(m, Conv1D)]
    traffic = 2 * config.num_hidden_layers * lanes * context * heads * width * dtype.itemsize
    speed = bandwidth(engine.device)
    limit = products(sizes, lanes, engine.device, dtype) + traffic / speed
    read = torch.from_numpy(np.resize(np.array(encoding), (lanes, context + min(steps, 16)))).to(engine.device)
    with engine.plain_attention():
        plain = plain_loop(engine.model, read, context)
    return {
        "encode": lanes / encoding_step * per_token,
        "decode": lanes / step * per_token,
        "decode_with_turns": lanes / (step + opening / context) * per_token,
        "peak_mb": peak,
        "limits": {engine.dtype: lanes / limit * per_token},
        "plain": lanes / plain * per_token,
        "forwards_per_byte": 1 / per_token,
        "bandwidth": speed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--context", type=int, default=256, help="bytes or tokens")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--path", default="", help="a model's folder, in place of the shipped one")
    other.add_argument("--random", action="store_true", help="a model of 135 million random weights")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="for models with a tokeniser")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--uncompiled", action="store_true", help="without numba or Triton, by torch alone")
    arguments = parser.parse_args()
    os.environ["COMPGEN_DEVICE"] = arguments.device
    sizes = arguments.lanes, arguments.context, arguments.steps
    if arguments.random:
        report = over_tokens(*random_model(arguments.device, arguments.dtype), *sizes)
    elif isinstance(model := LLM.open(arguments.path, dtype=arguments.dtype), ByteLLM):
        report = over_bytes(arguments.path, arguments.device, not arguments.uncompiled, *sizes)
    else:
        assert isinstance(model, TokenLLM)
        report = over_tokens(*model.engine, *sizes)
    lanes, context, _ = sizes
    device = arguments.device + (", compiled" if report.get("compiled") else "")
    print(f"{lanes} lanes, {context} symbols of context, {torch.get_num_threads()} threads, {device}")
    print(f"encoding                     {report['encode']:10.0f} bytes/s")
    forwards = f"{report['forwards_per_byte']:.2f} forwards per byte"
    print(f"decoding                     {report['decode']:10.0f} bytes/s, {forwards}")
    print(f"with reopened windows        {report['decode_with_turns']:10.0f} bytes/s")
    for name, limit in report["limits"].items():
        print(f"limit, {name:<10}            {limit:10.0f} bytes/s, reached: {100 * report['decode'] / limit:.0f}%")
    print(f"transformers, dynamic cache  {report['plain']:10.0f} bytes/s")
    print(f"memory bandwidth             {report['bandwidth'] / 1e9:10.1f} GB/s")
    print(f"peak memory of coding        {report['peak_mb']:10.0f} MB")
    about = {"benchmark": "llm", "device": arguments.device, "lanes": lanes, "context": context}
    print(json.dumps(about | report | {"threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
