"""The shipped language model: bytes per second, beside what the machine could do and what a plain loop does.

    python benchmarks/llm.py [--device cpu|cuda] [--lanes N] [--context N] [--path DIR] [--steps N]

Coding reads known bytes many at once; decoding takes a step for each byte of each lane. The limit of a step is the
time that its matrix products take at the speed measured here on matrices of the same shapes, plus the time to read
keys and values at the bandwidth measured here. It is given for float32, in which networks are mostly computed, and for
the int8 products that this one makes (two for each product). Ends in one JSON line.
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

import numpy as np
import torch
from transformers import DynamicCache, LlamaForCausalLM

from compgen.models.base import PRECISION
from compgen.models.byte_lm import START, ByteLanguageState
from compgen.models.causal_lm import cache_argument
from compgen.models.exact_llama import ExactLlama
from compgen.models.llm import LanguageModel, _loaded, folder

ROOT = Path(__file__).resolve().parents[1]


def best(run: Callable[[], object], repeats: int = 7) -> float:
    """Return the least seconds that ``run`` takes."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)


def shapes(network: ExactLlama, inner: int) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of every matrix product of a step."""
    s = network.shape
    heads = s.heads * s.head_width
    layer = [
        (s.width, heads + 2 * s.kv_heads * s.head_width),
        (heads, s.width),
        (s.width, 2 * inner),
        (inner, s.width),
    ]
    return layer * s.layers + [(s.width, 264)]


def products(sizes: list[tuple[int, int]], rows: int, device: str, integers: bool) -> float:
    """Return the seconds that the products of a step take."""
    total = 0.0
    for inputs, outputs in set(sizes):
        if integers:
            a = torch.ones((2 * rows, inputs), dtype=torch.int8, device=device)
            b = torch.ones((outputs, inputs), dtype=torch.int8, device=device).t()
            seconds = best(lambda a=a, b=b: torch._int_mm(a, b), 30)  # type: ignore[misc]
        else:
            x, y = torch.ones((rows, inputs), device=device), torch.ones((inputs, outputs), device=device)
            seconds = best(lambda x=x, y=y: x @ y, 30)  # type: ignore[misc]
        total += seconds * sizes.count((inputs, outputs))
    return total


def bandwidth(device: str) -> float:
    """Return bytes per second that are read from memory."""
    block = torch.ones(1 << 26, device=device)
    return 4 * len(block) / best(block.sum)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--path", default="", help="another byte-level model than the shipped one")
    parser.add_argument("--steps", type=int, default=32)
    arguments = parser.parse_args()
    os.environ["COMPGEN_DEVICE"] = arguments.device
    model = LanguageModel(arguments.path)
    network = _loaded(str(folder(arguments.path)), arguments.device)
    lanes, context, steps = arguments.lanes, arguments.context, arguments.steps
    text = (ROOT / "examples/prompts/lighthouse.txt").read_bytes()
    data = np.frombuffer(text * (1 + lanes * (context + steps) // len(text)), dtype=np.uint8)
    table = np.ascontiguousarray(data[: lanes * (context + steps)].reshape(lanes, -1).T)
    prompts = [table[:context, lane].tobytes() for lane in range(lanes)]
    state = model.start(prompts)
    assert isinstance(state, ByteLanguageState)

    begin = time.perf_counter()
    state.read(table[context:])
    encode = lanes * steps / (time.perf_counter() - begin)

    state = model.start(prompts)
    seconds = []
    points = np.random.default_rng(1).integers(1 << PRECISION, size=(steps, lanes))
    for row in points:
        begin = time.perf_counter()
        state.extend(state.locate(row)[0])
        seconds.append(time.perf_counter() - begin)
    step = float(np.median(seconds))

    reference = LlamaForCausalLM.from_pretrained(folder(arguments.path), dtype=torch.float32).to(arguments.device)
    sizes = shapes(network, reference.config.intermediate_size)
    s = network.shape
    traffic = 2 * s.layers * lanes * context * s.kv_heads * s.head_width * 4
    speed = bandwidth(arguments.device)
    limits = {
        name: products(sizes, lanes, arguments.device, integers) + traffic / speed
        for name, integers in (("float32", False), ("int8", True))
    }

    tokens = torch.from_numpy(np.concatenate([np.full((1, lanes), START), table]).T.astype(np.int64))
    tokens = tokens.to(arguments.device)
    with torch.no_grad():
        cache, argument = DynamicCache(config=reference.config), cache_argument(reference)
        known = reference(input_ids=tokens[:, : context + 1], use_cache=True, **{argument: cache})
        times = []
        for position in range(context + 1, context + 1 + min(steps, 16)):
            begin = time.perf_counter()
            known = reference(input_ids=tokens[:, position : position + 1], use_cache=True, **{argument: cache})
            torch.softmax(known.logits[:, -1], dim=1).cpu()
            times.append(time.perf_counter() - begin)
        plain = float(np.median(times))
        few = tokens[:8, : context + 1]
        floats = torch.log_softmax(reference(input_ids=few).logits[:, :, :256].double(), dim=2)
    exact = network.forward(network.cache(len(few), context + 1), few, np.zeros(len(few), dtype=np.int64))
    integers_log = torch.log_softmax(exact[:, :, :256].double(), dim=2)
    loss = float((floats.exp() * (floats - integers_log)).sum(dim=2).mean()) / math.log(2)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.device == "cuda":
        peak = torch.cuda.max_memory_allocated() / (1 << 20)
    print(f"{lanes} lanes, {context} bytes of context, {torch.get_num_threads()} threads, {arguments.device}")
    print(f"encoding                     {encode:10.0f} bytes/s")
    print(f"decoding                     {lanes / step:10.0f} bytes/s, {1e3 * step:.2f} ms a step, 1 forward per byte")
    for name, limit in limits.items():
        print(f"limit, {name:<10}            {lanes / limit:10.0f} bytes/s, reached: {100 * limit / step:.0f}%")
    print(f"transformers, dynamic cache  {lanes / plain:10.0f} bytes/s")
    print(f"rounding costs               {loss:10.5f} bits per byte (Kullback-Leibler, against float32)")
    print(f"memory bandwidth             {speed / 1e9:10.1f} GB/s; peak memory {peak:.0f} MB")
    report = {
        "benchmark": "llm", "device": arguments.device, "lanes": lanes, "context": context, "encode": encode,
        "decode": lanes / step, "limits": {n: lanes / v for n, v in limits.items()}, "plain": lanes / plain,
        "rounding_bits": loss, "bandwidth": speed, "peak_mb": peak, "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
