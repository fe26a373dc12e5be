"""``cgn sample``: continue a prompt with bytes that a compressor expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from compgen.cli.completion import complete_allowed, complete_sampler
from compgen.cli.help import OUTPUT, PROMPT, RARE_PROMPT, RARE_SHAPE, SHAPE
from compgen.cli.options import AsJson, CompressorSpec, Context, Effort, Force, PromptOption, Rule, Text, given
from compgen.cli.sample_output import Output
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.media.items import Item

_LENGTH = 200
"""Bytes to draw if nothing says how many. Chosen: a few lines of text."""

PromptArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="PROMPT|-",
        help="The file to continue; - is standard input.",
        show_default=False,
        rich_help_panel=PROMPT,
    ),
]
MediumSpec: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="What the prompt is: text, image:channels=1, audio:rate=8000, ... Default: what its first bytes say.",
        rich_help_panel=RARE_PROMPT,
    ),
]
Keep: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Keep only this share of the prompt, such as 0.5, and draw the rest.",
        rich_help_panel=RARE_PROMPT,
    ),
]
ByRow: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--by-row",
        help="Continue each row of a picture without the other rows, as the paper does.",
        rich_help_panel=RARE_PROMPT,
    ),
]
Length: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The bytes to draw. Default: what --keep left out, or 200.",
        rich_help_panel=SHAPE,
    ),
]
Seconds: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="The seconds of sound to draw, in place of a number of bytes.",
        rich_help_panel=RARE_SHAPE,
    ),
]
Temperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="0 draws the most probable byte, 1 any byte by its probability. Default: 1.",
        rich_help_panel=SHAPE,
    ),
]
TopK: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Draw only from the K most probable bytes.",
        rich_help_panel=RARE_SHAPE,
    ),
]
TopP: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Draw only from the fewest most probable bytes whose probabilities sum to P.",
        rich_help_panel=RARE_SHAPE,
    ),
]
MinP: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Leave out bytes with less than P times the probability of the most probable byte.",
        rich_help_panel=RARE_SHAPE,
    ),
]
RepetitionPenalty: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="Against loops: divide by R for each byte repeated.",
        rich_help_panel=SHAPE,
    ),
]
NoRepeatNgram: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Never repeat N bytes in a row, of the prompt or of the continuation.",
        rich_help_panel=RARE_SHAPE,
    ),
]
SamplerSpec: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="ancestral draws byte by byte. beam finds the most probable continuations. smc draws weighted particles "
        "over whole continuations. decode sends random bits through the coder.",
        autocompletion=complete_sampler,
        rich_help_panel=RARE_SHAPE,
    ),
]
Samples: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="The number of continuations.",
        rich_help_panel=SHAPE,
    ),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="S",
        help="The seed. Default: a random one.",
        rich_help_panel=SHAPE,
    ),
]
Bits: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="For the decode sampler: decode the bits of this file.",
        rich_help_panel=RARE_SHAPE,
    ),
]
Allow: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SET",
        help="Draw only utf-8 (valid UTF-8; a last character that --length cuts is dropped), printable (Unicode's "
        "printable characters of all scripts, spaces, tab and newline), chars:ACGT..., or any bytes. Default: utf-8 "
        "after a text in UTF-8, otherwise bytes.",
        autocompletion=complete_allowed,
        rich_help_panel=RARE_SHAPE,
    ),
]
Frozen: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--frozen/--no-frozen",
        help="Let the model learn from the prompt alone, and not from its own sample. Default: --frozen for pictures "
        "and sound, with the ancestral sampler.",
        rich_help_panel=RARE_SHAPE,
    ),
]
Stop: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="End a continuation before this text. May be given more than once.",
        rich_help_panel=RARE_SHAPE,
    ),
]
Out: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE|-",
        help="The file to write; several go to next-1.png, next-2.png and so on.",
        rich_help_panel=OUTPUT,
    ),
]


def sample(
    file: PromptArgument = None,
    compressor: CompressorSpec = "gzip",
    prompt: PromptOption = None,
    text: Text = None,
    medium: MediumSpec = None,
    keep: Keep = None,
    by_row: ByRow = False,
    length: Length = None,
    seconds: Seconds = None,
    rule: Rule = None,
    effort: Effort = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: RepetitionPenalty = None,
    no_repeat_ngram: NoRepeatNgram = None,
    sampler: SamplerSpec = "ancestral",
    samples: Samples = 1,
    seed: Seed = None,
    bits: Bits = None,
    context: Context = None,
    allow: Allow = None,
    frozen: Frozen = None,
    stop: Stop = None,
    out: Out = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Continue a prompt with bytes that a compressor expects.

    A picture or a sound is continued as such: -o next.png or -o next.wav holds the given part and the continuation.

    Examples:
        cgn sample story.txt -o next.txt
        cgn sample --text 'Once upon a time' --temperature 0.7
        cgn sample photo.png --keep 0.5 -o next.png

    Docs: docs/walk.md, docs/language-models.md
    """
    if by_row and (samples > 1 or stop):
        raise UsageError("--by-row makes one sample, and whole rows; leave --samples and --stop out")
    item = _item(*given(file, prompt, text), medium, keep, by_row)
    output = Output(item, samples, out, force, as_json)
    size = _length(length, seconds, item)
    prompts = _known(item, context)
    if frozen is None and item.medium.name != "text" and sampler == "ancestral":
        frozen = True

    from compgen.sampling import sample as draw

    with output.progress(size * len(prompts), rows=len(prompts)) as watch:
        drawn = draw(
            compressor,
            prompts if by_row else prompts[0],
            length=size,
            samples=samples,
            sampler=sampler,
            rule=rule,
            effort=effort,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            no_repeat_ngram=no_repeat_ngram,
            allow=allow,
            frozen=frozen,
            bits=bits,
            stop=[one.encode(errors="surrogateescape") for one in stop or ()],
            seed=seed,
            layout=item.layout,
            watch=watch,
        )
    output.deliver(drawn.joined() if by_row else drawn, prompts)


def _item(data: bytes, name: str, medium: str | None, keep: float | None, by_row: bool) -> Item:
    """Return the prompt as an item of its medium, cut where ``keep`` says. ``name`` names it in errors."""
    from compgen.media import MEDIA, recognise
    from compgen.media.items import Item

    kind = MEDIA.build(medium or "text") if medium or name == "--text" else None
    try:
        encoded = (kind or recognise(data)).encode(data)
    except UsageError as error:
        way = "" if medium or "--medium" in str(error) else "; --medium text continues it as the bytes it is"
        raise UsageError(f"{name}: {error}{way}") from None
    return Item.cut(*encoded, keep, by_row)


def _length(length: int | None, seconds: float | None, item: Item) -> int:
    """Return the number of bytes to draw for each prompt."""
    if seconds is None:
        return length if length is not None else len(item.rest[0]) or _LENGTH
    rate = getattr(item.medium, "rate", 0)
    if not rate:
        raise UsageError("--seconds is for sound; give --length in bytes")
    if length is not None or seconds < 0:
        raise UsageError("give --length in bytes or --seconds, 0 or more, and not both")
    return round(seconds * rate) * item.medium.layout.pixel


def _known(item: Item, context: int | None) -> list[bytes]:
    """Return the known bytes of each piece: all that is given, or the last ``context`` bytes of it."""
    if context is None:
        return list(item.given)
    if context < 0:
        raise UsageError(f"--context must be 0 or more bytes, not {context}")
    return [given[max(0, len(given) - context) :] for given in item.given]
