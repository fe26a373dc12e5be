"""``cgn score``: how well a compressor's distribution predicts real bytes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from compgen.cli.help import MODEL, PROMPT, RARE_PROMPT
from compgen.cli.messages import console
from compgen.cli.options import AsJson, CompressorSpec, Context, Effort, PromptOption, Rule, Text, given
from compgen.cli.progress import progress
from compgen.errors import CompgenError, UsageError

if TYPE_CHECKING:
    from compgen.evaluation.score import Score


def score(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT|-",
            help="The file to score; - is standard input.",
            show_default=False,
            rich_help_panel=PROMPT,
        ),
    ] = None,
    prompt: PromptOption = None,
    text: Text = None,
    compressor: CompressorSpec = "gzip",
    rule: Rule = None,
    effort: Effort = None,
    context: Context = None,
    offset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The byte at which scoring begins. Default: after the context.",
            rich_help_panel=RARE_PROMPT,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The number of bytes to score. Default: to the end of the file.",
            rich_help_panel=RARE_PROMPT,
        ),
    ] = None,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            help="Also score the null compressor, which knows nothing, under the same rule.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="Check that the model is a distribution at every byte, that its score is the length of a code, and "
            "that the code decodes; print the certificate as JSON. Exit code 1 if a check fails.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score real bytes: print the derived and the own rate, and each byte's surprisal as a colour.

    Examples:
        cgn score story.txt -c xz
        cgn score story.txt -c gzip+ppmd --context 1000
        cgn score story.txt -c llm --audit > certificate.json

    Docs: docs/decoder-law.md, docs/calibration.md
    """
    if audit and (control or context is not None or offset is not None):
        raise UsageError("--audit scores a text from its beginning; leave out --control, --context and --offset")
    real, called = given(file, prompt, text)
    before, data = _span(called, real, context, offset, length)

    if audit:
        _audit(compressor, rule, effort, data)
        return
    from compgen.evaluation.score import score as measure

    with progress("scoring", len(data)) as advance:
        result = measure(compressor, data, before, rule=rule, effort=effort, watch=advance)
    null = _control(result, before) if control else None
    if as_json:
        import json

        print(json.dumps(_report(result) | ({} if null is None else {"control_bpb": null})))
    else:
        _print(result, null)


def _audit(compressor: str, rule: str | None, effort: str | None, data: bytes) -> None:
    """Print the certificate of an audit.

    Raises:
        CompgenError: a check failed.
    """
    from compgen.evaluation.audit import audit as check
    from compgen.models import load

    model = load(compressor, rule=rule, effort=effort)
    with progress("auditing", len(data)) as advance:
        found = check(model, data, watch=advance)
    print(found.json())
    if not found.passed:
        raise CompgenError(f"the audit of '{found.model}' failed: {found.failure}")


def _span(called: str, data: bytes, context: int | None, offset: int | None, length: int | None) -> tuple[bytes, bytes]:
    """Return the known bytes and the bytes to score.

    Raises:
        UsageError: an option is out of range, or the file is too short.
    """
    for option, value in (("--context", context), ("--offset", offset)):
        if value is not None and value < 0:
            raise UsageError(f"{option} must be 0 or more bytes, not {value}")
    if length is not None and length < 1:
        raise UsageError(f"--length must be 1 or more bytes, not {length}")
    if not data:
        raise UsageError(f"{called} is empty; there is nothing to score")
    begin = offset if offset is not None else (context or 0)
    if begin >= len(data):
        raise UsageError(
            f"scoring would begin at byte {begin} of the {len(data)} of {called}; there is nothing to score: lower "
            f"--{'context' if offset is None else 'offset'}"
        )
    known = begin if context is None else context
    if known > begin:
        raise UsageError(f"only {begin} bytes come before --offset {begin}; lower --context {known} or raise --offset")
    end = len(data) if length is None else begin + length
    return data[begin - known : begin], data[begin:end]


def _control(result: Score, before: bytes) -> float:
    """Return what the rule of ``result`` gives over the null compressor, bits per byte.

    Raises:
        UsageError: the model follows no rule, or its members may follow several.
    """
    from compgen.compressors.null import Lawless, Null
    from compgen.evaluation.score import score as measure
    from compgen.models import CodeLengthModel

    if not isinstance(result.model, CodeLengthModel):
        raise UsageError(f"--control is for a compressor under a rule, and '{result.model}' is none; leave it out")
    nothing = Lawless() if result.model.by_proposals else Null()
    model = dataclasses.replace(result.model, compressor=nothing)
    with progress("control", len(result.data)) as advance:
        return measure(model, result.data, before, watch=advance).derived_bpb


def _report(result: Score) -> dict[str, str | float | None]:
    return {
        "compressor": str(result.model),
        "derived_bpb": result.derived_bpb,
        "own_bpb": result.own_bpb,
        "own_note": result.own_note,
        "code_waste": result.code_waste,
        "bytes": len(result.data),
        "context_bytes": result.context_bytes,
        "seconds": result.seconds,
        "bytes_per_second": result.bytes_per_second,
    }


def _print(result: Score, null: float | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from compgen.display import characters, one_line, surprisal_colour
    from compgen.models import CodeLengthModel

    page = console(soft_wrap=True)
    coloured = Text()
    for character, bits in characters(result.data, result.surprisals):
        coloured.append(character, style=surprisal_colour(bits))
    page.print(coloured)
    page.print()
    by_proposals = isinstance(result.model, CodeLengthModel) and result.model.by_proposals
    by = "compgen's proposals, since it has no law" if by_proposals else "the derived distribution"
    own = "-" if result.own_bpb is None else f"{result.own_bpb:.4f}"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for name, value, meaning in (
        ("compressor", one_line(str(result.model)), ""),
        ("derived_bpb", f"{result.derived_bpb:.4f}", f"bits per byte under {by}"),
        ("own_bpb", own, "bits per byte that the compressor itself spends here"),
        *(
            []
            if null is None
            else [("control_bpb", f"{null:.4f}", "bits per byte of the same rule without a compressor")]
        ),
        ("code_waste", f"{result.code_waste:.4f}", "bits per byte that normalising adds"),
        ("bytes", f"{len(result.data)}", f"after {result.context_bytes} bytes of context"),
        ("seconds", f"{result.seconds:.2f}", f"{result.bytes_per_second:.3g} bytes/s"),
    ):
        table.add_row(name, value, meaning)
    scale = Text("surprisal, bits: ")
    for bits in range(0, 13, 3):
        scale.append(f" {bits} ", style=surprisal_colour(bits))
    page.print(table)
    if result.own_note:
        page.print(Text(one_line(result.own_note)))
    page.print(scale)
