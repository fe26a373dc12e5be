"""Where the samples of ``cgn sample`` go: to files, to standard output as they are drawn, or into a JSON object."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compgen.cli import files
from compgen.cli.messages import report, speed
from compgen.cli.progress import progress
from compgen.errors import UsageError

if TYPE_CHECKING:
    from compgen.media.items import Item
    from compgen.sampling import Samples

_HELD_OUT = 1000
"""Bytes of the original continuation that are scored at most, for ``held_out_bpb``. Chosen: scoring takes as long as
sampling."""


class Output:
    """Shows the samples of one run of the command."""

    def __init__(self, item: Item, samples: int, out: str | None, force: bool, as_json: bool) -> None:
        """Check before long work that the samples can be written.

        Args:
            item: the prompt.
            samples: the number of continuations.
            out: the file to write; None or ``-`` for standard output.
            force: whether files that exist may be overwritten.
            as_json: whether to print a JSON object.

        Raises:
            UsageError: ``out`` cannot be written or has the wrong suffix, or the samples need a file.
        """
        out = None if out == "-" else out
        self._item = item
        self._samples = samples
        self._out = out
        self._as_json = as_json
        self._suffix = item.medium.checked(Path(out).suffix) if out is not None else ""
        for name in self._names(out) if out is not None else ():
            files.check_output(name, force, binary=False)
        self._is_text = item.medium.name == "text"
        self._terminal = sys.stdout.isatty()
        if not self._is_text and out is None and not as_json and (self._terminal or samples > 1):
            kind = item.medium.suffixes[0]
            article = "an" if item.medium.name[0] in "aeiou" else "a"
            raise UsageError(
                f"the result is {article} {item.medium.name}; name a file for it, such as --out next{kind}"
            )
        self._streams = self._is_text and samples == 1 and out is None and not as_json
        self._seconds = 0.0  # that drawing took

        from compgen.display import TextStream
        from compgen.media.text import is_text, unfinished

        # A character that the prompt leaves unfinished is shown with the continuation that finishes it.
        self._lead = unfinished(item.given[0]) if self._is_text and is_text(item.given[0]) else b""
        self._characters = TextStream()
        self._characters.feed(self._lead)
        self._shown = 0  # bytes of the sample that are on standard output

    @contextmanager
    def progress(self, total: int, rows: int) -> Iterator[Callable[[int, bytes], None]]:
        """Show progress, or the sample itself, while the block draws ``total`` bytes in so many ``rows``.

        Yields:
            What the sampler reports to; see ``compgen.sampling.base.Watch``.
        """
        with progress("sampling", total, shown=not (self._streams and self._terminal)) as advance:

            def watch(made: int, final: bytes) -> None:
                advance(made * rows)
                if self._streams and final:
                    self._shown += len(final)
                    self._emit(final)

            begin = time.perf_counter()
            try:
                yield watch
            except BaseException:  # Ctrl-C too: the message that follows gets a line of its own
                if self._shown and self._terminal:
                    _write("\n")
                raise
            self._seconds = time.perf_counter() - begin

    def deliver(self, drawn: Samples, prompts: list[bytes]) -> None:
        """Write or print the samples, and print a summary to standard error."""
        if self._out is not None:
            for name, one in zip(self._names(self._out), drawn, strict=False):  # there may be fewer beams than samples
                files.write(name, self._item.file(one.data, self._suffix))
        if self._as_json:
            self._print_json(drawn, prompts)
        elif self._streams:
            self._emit(drawn[0].data[self._shown :], end=True)
            if not drawn[0].data.endswith(b"\n") and _shares_line():
                print(file=sys.stderr)
        elif self._out is None and not self._is_text:
            _write(self._item.file(drawn[0].data, self._suffix))
        elif self._out is None:
            self._print_several(drawn)
        self._print_summary(drawn)

    def _names(self, out: str) -> list[str]:
        """Return the names of the files, one for each sample."""
        path = Path(out)
        if self._samples == 1 or not path.name:
            return [out]
        return [str(path.with_name(f"{path.stem}-{number}{path.suffix}")) for number in range(1, self._samples + 1)]

    def _emit(self, data: bytes, end: bool = False) -> None:
        """Write the next bytes of the sample to standard output: raw, or for a terminal as text."""
        if self._terminal:
            _write(self._characters.feed(data, final=end) + ("\n" if end else ""))
        else:
            _write(data)

    def _print_several(self, drawn: Samples) -> None:
        """Print samples under headings like those of head(1) and tail(1)."""
        from compgen.display import readable

        weighted = any(one.weight != drawn[0].weight for one in drawn)  # only in sequential Monte Carlo
        for number, one in enumerate(drawn, 1):
            weight = f", weight {one.weight:.4g}" if weighted else ""
            heading = f"==> sample {number}, log2 probability {one.log2_prob:.2f}{weight} <=="
            _write(f"{'' if number == 1 else chr(10)}{heading}\n")
            _write(readable(self._lead + one.data) if self._terminal else one.data)
            _write("\n")

    def _print_json(self, drawn: Samples, prompts: list[bytes]) -> None:
        import base64
        import json

        from compgen.evaluation.metrics import held_out_rate, metrics

        item = self._item
        context = b"" if len(prompts) > 1 else prompts[0]
        made = sum(len(one.data) for one in drawn)
        told: dict[str, Any] = {
            "compressor": str(drawn.model),
            "sampler": str(drawn.sampler),
            "seed": drawn.seed,
            "medium": str(item.medium),
            "prompt_bytes": sum(map(len, prompts)),
            "seconds": self._seconds,
            "bytes_per_second": made / self._seconds,
            "held_out_bpb": held_out_rate(drawn.model, prompts, item.rest, min(made // 4, _HELD_OUT)),
            "samples": [
                {
                    "text": (self._lead + one.data).decode(errors="replace"),
                    "base64": base64.b64encode(one.data).decode(),
                    "bytes": len(one.data),
                    "bits_per_byte": one.bits_per_byte,
                    "log2_prob": one.log2_prob,
                    "weight": one.weight,
                    "stopped": one.stopped,
                    **metrics(one.data, context, item.part, b"".join(item.rest)),
                }
                for one in drawn
            ],
        }
        print(json.dumps(told))

    def _print_summary(self, drawn: Samples) -> None:
        made = sum(len(one.data) for one in drawn)
        bits = sum(one.bits for one in drawn)
        rate = f", {bits / made:.3f} bits per byte" if made else ""
        fast = speed(made / self._seconds)
        report(f"{drawn.model}, {drawn.sampler}, seed {drawn.seed}: {made} bytes{rate}, {fast}")


def _shares_line() -> bool:
    """Return whether standard error continues the line that standard output, which is no terminal, ends in.

    It does if both are the same file, as after ``2>&1``, or if standard error is a terminal and standard output a pipe,
    whose other end may show its bytes on that terminal.
    """
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # no files, as in a test or a notebook
        return False
    if sys.stdout.isatty():
        return False
    return os.path.samestat(out, err) or (stat.S_ISFIFO(out.st_mode) and sys.stderr.isatty())


def _write(data: bytes | str) -> None:
    """Write to standard output at once: bytes as they are, text in the terminal's encoding."""
    if isinstance(data, bytes):
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data)
    sys.stdout.flush()
