"""``cgn sample``: continue a prompt by what a compressor expects."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compgen.cli import files
from compgen.cli.options import AsJson, CompressorSpec, Effort, Rule
from compgen.cli.progress import progress
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.sampling import Samples


def sample(
    compressor: CompressorSpec = "gzip",
    prompt: Annotated[str | None, typer.Option(metavar="FILE|-", help="File to continue; - is standard input.")] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to continue, in place of a file.")] = None,
    length: Annotated[int, typer.Option(metavar="N", help="Bytes to make.")] = 200,
    rule: Rule = None,
    effort: Effort = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="Below 1: safer; above: wilder; 0: greedy. Default 1.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(metavar="K", help="Draw from the K most probable bytes.")] = None,
    top_p: Annotated[
        float | None, typer.Option(metavar="P", help="Draw from the fewest bytes that hold probability P.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(metavar="P", help="Leave out bytes under P times the most probable one.")
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="ancestral: byte by byte. beam: the most probable continuations. smc: weighted particles "
            "over whole continuations. decode: random bits through the coder. decode-native: noise through ppmd's own "
            "decoder.",
        ),
    ] = "ancestral",
    samples: Annotated[int, typer.Option(metavar="N", help="Continuations: rows, beams or particles.")] = 1,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Seed; without one, a random seed is told.")] = None,
    bits: Annotated[
        str | None, typer.Option(metavar="FILE", help="With the decode sampler: decode these bits, not random ones.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(metavar="N", help="Know only the last N bytes of the prompt. Default: all.")
    ] = None,
    allow: Annotated[
        str | None, typer.Option(metavar="SET", help="printable, utf-8 (output stays valid), or chars:ACGT....")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End before this text; may be given more than once.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the bytes to a file; FILE-1, FILE-2, ... for several samples."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Continue a prompt by what a compressor expects.

    The bytes stream to standard output as they are made, raw when it is redirected; the seed, the rate
    and the speed go to standard error.
    """
    context_bytes = _context(prompt, text, context)
    if out is not None:
        files.check_writable(out)

    from compgen.media.text import TextStream
    from compgen.sampling import sample as draw

    streaming = samples == 1 and out is None and not as_json
    terminal = sys.stdout.isatty()
    characters = TextStream()
    shown = 0

    with progress("sampling", length, shown=not (streaming and terminal)) as advance:

        def watch(made: int, final: bytes) -> None:
            nonlocal shown
            advance(made)
            if streaming and final:
                shown += len(final)
                _emit(characters.feed(final) if terminal else final)

        begin = time.perf_counter()
        drawn = draw(
            compressor,
            context_bytes,
            length=length,
            samples=samples,
            sampler=sampler,
            rule=rule,
            effort=effort,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            allow=allow,
            bits=bits,
            stop=[text.encode(errors="surrogateescape") for text in stop or ()],
            seed=seed,
            watch=watch,
        )
        seconds = time.perf_counter() - begin

    if out is not None:
        for name, one in zip(_names(out, samples), drawn, strict=False):  # a beam may hold fewer than asked for
            files.write(name, one.data)
    if as_json:
        _print_json(drawn, len(context_bytes), seconds)
    elif streaming:
        rest = drawn[0].data[shown:]
        _emit(characters.feed(rest, final=True) + "\n" if terminal else rest)
    elif out is None:
        _print_several(drawn, terminal)
    _print_summary(drawn, seconds)


def _context(prompt: str | None, text: str | None, context: int | None) -> bytes:
    if (prompt is None) == (text is None):
        raise UsageError("give a prompt: either --prompt FILE (- for standard input) or --text TEXT")
    data = files.read(prompt, "prompt") if prompt is not None else (text or "").encode(errors="surrogateescape")
    if context is None:
        return data
    if context < 0:
        raise UsageError(f"--context must be 0 or more bytes, not {context}")
    return data[max(0, len(data) - context) :]


def _names(out: str, samples: int) -> list[str]:
    if samples == 1:
        return [out]
    path = Path(out)
    return [str(path.with_name(f"{path.stem}-{number}{path.suffix}")) for number in range(1, samples + 1)]


def _emit(data: bytes | str) -> None:
    if isinstance(data, bytes):
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data)
    sys.stdout.flush()


def _print_several(drawn: Samples, terminal: bool) -> None:
    """Print samples under headings like those of head(1) and tail(1)."""
    for number, one in enumerate(drawn, 1):
        _emit(f"{'' if number == 1 else chr(10)}==> sample {number}, weight {one.weight:.4g} <==\n")
        _emit(one.text if terminal else one.data)
        _emit("\n")


def _print_json(drawn: Samples, prompt_bytes: int, seconds: float) -> None:
    import base64
    import json

    made = sum(len(one.data) for one in drawn)
    report: dict[str, Any] = {
        "compressor": str(drawn.model),
        "sampler": str(drawn.sampler),
        "seed": drawn.seed,
        "prompt_bytes": prompt_bytes,
        "seconds": seconds,
        "bytes_per_second": made / seconds,
        "samples": [
            {
                "text": one.data.decode(errors="replace"),
                "base64": base64.b64encode(one.data).decode(),
                "bytes": len(one.data),
                "bits_per_byte": one.bits_per_byte,
                "weight": one.weight,
                "stopped": one.stopped,
            }
            for one in drawn
        ],
    }
    print(json.dumps(report))


def _print_summary(drawn: Samples, seconds: float) -> None:
    made = sum(len(one.data) for one in drawn)
    bits = sum(one.bits for one in drawn)
    rate = f", {bits / made:.3f} bits per byte" if made else ""
    print(
        f"{drawn.model}, {drawn.sampler}, seed {drawn.seed}: {made} bytes{rate}, {made / seconds:.3g} bytes/s",
        file=sys.stderr,
    )
