"""A public language model in use: what commands cost, beside plain transformers and beside an earlier checkout.

    python -m benchmarks.public_lm DIR [--before CHECKOUT] [--text FILE] [--context BYTES] [--beams K,K]

DIR is a Hugging Face folder of a model with a tokeniser. All times are process times: seconds of CPU of whole commands,
with their imports, except where only the pass is named. CHECKOUT is another clone of this project, whose commands are
measured in the same run. Rows:

- plain transformers: one pass over the tokens of a kilobyte, whose logits are turned into probabilities.
- score 1 KB: ``compgen.score`` of the same text by a model that is loaded.
- libraries: to import torch, transformers and the model's class, and to read the tokeniser. No command takes less.
- fixed: ``cgn score`` of one byte. "First" is with an empty cache of the user's.
- files: ``cgn compress`` of 64 bytes, which are decoded once to check the file, and ``cgn decompress`` of it.
- beam: the rate and the time of a score for each beam, on the same kilobyte. 0 drops nothing.
- window: the rate of the first BYTES bytes for the window of earlier versions and for the default.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PLAIN = """
import math, sys, time, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
path, text = sys.argv[1], open(sys.argv[2], "rb").read().decode(errors="replace")
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
ids = torch.tensor([AutoTokenizer.from_pretrained(path)(text).input_ids])
with torch.no_grad():
    model(ids[:, :8])
    begin = time.process_time()
    chances = torch.log_softmax(model(ids).logits[0, :-1], dim=-1)
    bits = -chances.gather(1, ids[0, 1:, None]).sum().item() / math.log(2)
    print(time.process_time() - begin, bits / len(text.encode()), ids.shape[1] - 1)
"""
_LIBRARIES = """
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM
from tokenizers import Tokenizer
AutoModelForCausalLM._model_mapping[type(AutoConfig.from_pretrained(sys.argv[1]))]
Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
"""
_SCORE = """
import sys, time, compgen
compgen.score(sys.argv[1], b"a")
begin = time.process_time()
compgen.score(sys.argv[1], open(sys.argv[2], "rb").read())
print(time.process_time() - begin)
"""


def run(arguments: list[str], checkout: Path, cache: str) -> tuple[float, bytes]:
    """Return the seconds of CPU that Python takes with ``arguments`` in a checkout, and what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COMPGEN_CACHE": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def commands(checkout: Path, model: str, text: Path, folder: Path) -> dict[str, float]:
    """Return the seconds of CPU that commands of a checkout take."""
    byte, words, file = folder / "byte", folder / "words", str(folder / "file.cgn")
    byte.write_bytes(b"a")
    words.write_bytes(text.read_bytes()[:64])

    def command(name: str, *rest: str) -> float:
        return run(["-m", "compgen", name, "-c", f"llm:{model}", *rest], checkout, cache)[0]

    cache = str(folder / f"cache-{checkout.name}")
    found = {"fixed, first": command("score", str(byte)), "fixed": command("score", str(byte))}
    found["files, compress"] = command("compress", str(words), "-o", file, "-f")
    found["files, decompress"] = command("decompress", file, "-o", str(folder / "out"), "-f")
    found["score 1 KB"] = float(run(["-c", _SCORE, f"llm:{model}", str(text)], checkout, cache)[1])
    return found


def rates(model: str, data: bytes, options: list[str]) -> dict[str, tuple[float, float]]:
    """Return bits per byte and seconds of CPU of a score of ``data``, for each string of options in a spec."""
    import compgen

    compgen.score(f"llm:{model}", data[:1])
    found = {}
    for option in options:
        begin = time.process_time()
        rate = compgen.score(f"llm:{model}{option}", data).derived_bpb
        found[option or "default"] = rate, time.process_time() - begin
    return found


def main() -> None:
    """Print the table, and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="DIR")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--text", type=Path, default=ROOT / "examples/prompts/lighthouse.txt", metavar="FILE")
    parser.add_argument("--context", type=int, default=0, metavar="BYTES")
    parser.add_argument("--beams", default="", metavar="K,K")
    options = parser.parse_args()
    model, data = str(Path(options.model).resolve()), options.text.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kilobyte = folder / "kilobyte"
        kilobyte.write_bytes(data[:1024])
        found: dict[str, Any] = {}
        _, printed = run(["-c", _PLAIN, model, str(kilobyte)], ROOT, name)
        seconds, rate, tokens = map(float, printed.split())
        found["plain"] = {"seconds": seconds, "bpb": rate, "tokens": tokens}
        print(f"plain transformers, the pass over 1 KB: {seconds:.2f} s, {rate:.4f} bits per byte, {tokens:.0f} tokens")
        found["libraries"], _ = run(["-c", _LIBRARIES, model], ROOT, name)
        print(f"{'libraries':22} {found['libraries']:7.1f} s")
        found["now"] = commands(ROOT, model, kilobyte, folder)
        for row, seconds in found["now"].items():
            print(f"{row:22} {seconds:7.1f} s", flush=True)
        if options.before:
            found["before"] = commands(options.before.resolve(), model, kilobyte, folder)
            for row, seconds in found["before"].items():
                print(f"before: {row:22} {seconds:7.1f} s, {seconds / found['now'][row]:.1f} times")
    beams = [f",beam={beam}" for beam in options.beams.split(",") if beam]
    found["beams"] = rates(model, data[:1024], beams)
    found["windows"] = rates(model, data[: options.context], [",window=220", ""]) if options.context else {}
    for option, (rate, seconds) in {**found["beams"], **found["windows"]}.items():
        print(f"{option:22} {seconds:7.1f} s   {rate:.4f} bits per byte")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
