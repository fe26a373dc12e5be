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
    from compgen.media.items import Item
    from compgen.sampling import Samples

_LENGTH = 200  # bytes made where nothing says how many
_HELD_OUT = 1000  # bytes of the original that are priced, at most


def sample(
    compressor: CompressorSpec = "gzip",
    prompt: Annotated[str | None, typer.Option(metavar="FILE|-", help="File to continue; - is standard input.")] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Text to continue, in place of a file.")] = None,
    medium: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="What the prompt is: text, image:channels=1, audio:rate=8000, ... Default: as its content tells.",
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Give only this share of the item, 0.5 for its first half, and make the rest."
        ),
    ] = None,
    by_row: Annotated[
        bool,
        typer.Option("--by-row", help="Cut each row of a picture, and continue it knowing no other (the paper's way)."),
    ] = False,
    length: Annotated[
        int | None, typer.Option(metavar="N", help="Bytes to make. Default: what --keep left out, or 200.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of sound to make, in place of bytes.")
    ] = None,
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
    frozen: Annotated[
        bool | None,
        typer.Option(help="Learn from the prompt alone, not from the sample. Default: for pictures and sound."),
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
    and the speed go to standard error. A picture (PNG, JPEG, WebP) or sound (WAV, FLAC, Ogg) is continued as
    what it is: --out next.png or next.wav holds the given part and what follows.
    """
    if by_row and (samples > 1 or stop):
        raise UsageError("--by-row makes one sample, and whole rows; leave --samples and --stop out")
    item = _item(prompt, text, medium, keep, by_row)
    suffix = item.medium.checked(Path(out).suffix) if out is not None else ""
    if out is not None:
        files.check_writable(out)
    length = _length(length, seconds, item)
    prompts = _known(item, context)

    from compgen.display import TextStream
    from compgen.sampling import sample as draw

    terminal = sys.stdout.isatty()
    is_text = item.medium.name == "text"
    if not is_text and out is None and not as_json and (terminal or samples > 1):
        kind = item.medium.suffixes[0]
        raise UsageError(f"the result is a {item.medium.name}; name a file for it, such as --out next{kind}")
    streaming = is_text and samples == 1 and out is None and not as_json
    characters = TextStream()
    shown = 0

    with progress("sampling", length * len(prompts), shown=not (streaming and terminal)) as advance:

        def watch(made: int, final: bytes) -> None:
            nonlocal shown
            advance(made * len(prompts))
            if streaming and final:
                shown += len(final)
                _emit(characters.feed(final) if terminal else final)

        begin = time.perf_counter()
        drawn = draw(
            compressor,
            prompts if by_row else prompts[0],
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
            frozen=frozen if frozen is not None or is_text or sampler != "ancestral" else True,
            bits=bits,
            stop=[text.encode(errors="surrogateescape") for text in stop or ()],
            seed=seed,
            layout=item.layout,
            watch=watch,
        )
        elapsed = time.perf_counter() - begin
    if by_row:
        drawn = drawn.joined()

    if out is not None:
        for name, one in zip(_names(out, samples), drawn, strict=False):  # a beam may hold fewer than asked for
            files.write(name, item.file(one.data, suffix))
    if as_json:
        _print_json(drawn, item, prompts, elapsed)
    elif streaming:
        rest = drawn[0].data[shown:]
        _emit(characters.feed(rest, final=True) + "\n" if terminal else rest)
    elif out is None and not is_text:
        _emit(item.file(drawn[0].data, suffix))
    elif out is None:
        _print_several(drawn, terminal)
    _print_summary(drawn, elapsed)


def _item(prompt: str | None, text: str | None, medium: str | None, keep: float | None, by_row: bool) -> Item:
    if (prompt is None) == (text is None):
        raise UsageError("give a prompt: either --prompt FILE (- for standard input) or --text TEXT")
    data = files.read(prompt, "prompt") if prompt is not None else (text or "").encode(errors="surrogateescape")

    from compgen.media import MEDIA, recognise
    from compgen.media.items import Item

    kind = MEDIA.build(medium or "text") if medium or text is not None else recognise(data)
    return Item.cut(*kind.encode(data), keep, by_row)


def _length(length: int | None, seconds: float | None, item: Item) -> int:
    if seconds is None:
        return length if length is not None else len(item.rest[0]) or _LENGTH
    rate = getattr(item.medium, "rate", 0)
    if not rate:
        raise UsageError("--seconds is for sound; give --length in bytes")
    if length is not None or seconds < 0:
        raise UsageError("give --length in bytes or --seconds, 0 or more, and not both")
    return round(seconds * rate) * item.medium.layout.pixel


def _known(item: Item, context: int | None) -> list[bytes]:
    if context is None:
        return list(item.given)
    if context < 0:
        raise UsageError(f"--context must be 0 or more bytes, not {context}")
    return [given[max(0, len(given) - context) :] for given in item.given]


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


def _print_json(drawn: Samples, item: Item, prompts: list[bytes], seconds: float) -> None:
    import base64
    import json

    from compgen.evaluation.metrics import held_out_rate, metrics

    context = b"" if len(prompts) > 1 else prompts[0]
    made = sum(len(one.data) for one in drawn)
    report: dict[str, Any] = {
        "compressor": str(drawn.model),
        "sampler": str(drawn.sampler),
        "seed": drawn.seed,
        "medium": str(item.medium),
        "prompt_bytes": sum(map(len, prompts)),
        "seconds": seconds,
        "bytes_per_second": made / seconds,
        "held_out_bpb": held_out_rate(drawn.model, prompts, item.rest, min(made // 4, _HELD_OUT)),
        "samples": [
            {
                "text": one.data.decode(errors="replace"),
                "base64": base64.b64encode(one.data).decode(),
                "bytes": len(one.data),
                "bits_per_byte": one.bits_per_byte,
                "weight": one.weight,
                "stopped": one.stopped,
                **metrics(one.data, context, item.part, b"".join(item.rest)),
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
