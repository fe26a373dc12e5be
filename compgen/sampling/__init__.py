"""Samplers by name, and ``sample``, the one call that most people need."""

from __future__ import annotations

import dataclasses
import inspect
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Never

from compgen.arguments import as_bytes, checked
from compgen.compressors.base import Compressor
from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.layout import Layout
from compgen.media.text import is_text
from compgen.models import load
from compgen.models.base import ByteModel
from compgen.registry import Entry, Registry, Spec, suggest
from compgen.sampling.ancestral import Ancestral
from compgen.sampling.base import Request, Sample, Sampler, Samples, Watch
from compgen.sampling.foreign import FOREIGN

__all__ = ["SAMPLERS", "Request", "Sample", "Sampler", "Samples", "sample", "sampler_with"]

SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    "compgen.samplers",
    "compgen.sampling.base:Sampler",
    {
        "ancestral": Entry("compgen.sampling.ancestral:Ancestral"),
        "beam": Entry("compgen.sampling.beam:Beam"),
        "smc": Entry("compgen.sampling.smc:SequentialMonteCarlo"),
        "decode": Entry("compgen.sampling.decode:Decode"),
    },
)


def sampler_with(spec: str, options: Mapping[str, Any]) -> Sampler:
    """Return the sampler that ``spec`` names, with ``options`` set. They win over the options in the spec.

    An option that is None counts as not given.

    Raises:
        UsageError: there is no such sampler, it lacks an option, or a value is out of range.
    """
    parsed = Spec.parse(spec)
    cls = SAMPLERS.get(parsed.name)
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in cls.option_names():
            known = ", ".join(name.replace("_", "-") for name in cls.option_names())
            others = [name for name in SAMPLERS.names() if key in SAMPLERS.get(name).option_names()]
            hint = f"; {key.replace('_', '-')} goes with sampler {' or '.join(others)}" if others else ""
            raise UsageError(f"the {cls.name} sampler has no {key.replace('_', '-')}; it has: {known}{hint}")
    rest, _ = parsed.split(given)
    return dataclasses.replace(cls.from_spec(rest), **given)  # type: ignore[type-var]


@checked
def sample(
    compressor: str | Spec | Compressor | ByteModel,
    prompt: bytes | str | Sequence[bytes | str] = b"",
    *,
    length: int = 200,
    samples: int = 1,
    sampler: str | Sampler = "ancestral",
    rule: str | None = None,
    effort: str | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    no_repeat_ngram: int | None = None,
    allow: str | None = None,
    frozen: bool | None = None,
    bits: str | None = None,
    stop: bytes | str | Sequence[bytes | str] = (),
    seed: int | None = None,
    layout: Layout | Medium | None = None,
    watch: Watch | None = None,
    **unknown: Never,
) -> Samples:
    """Continue ``prompt`` with bytes that ``compressor`` expects.

    Args:
        compressor: a spec such as ``"gzip"`` or ``"xz:level=9"``, a compressor, or a model.
        prompt: the bytes before the sample; text is encoded as UTF-8. Several prompts get one sample each.
        length: bytes to draw.
        samples: continuations to draw: rows, beams or particles.
        sampler: ``ancestral``, ``beam``, ``smc``, ``decode``, a plugin's name, a spec, or a sampler.
        rule: ``decoder``, the default where the compressor has a law, ``calibrated`` or ``one-step``.
        effort: how much work the calibrated rule does, ``fast`` or ``best``; for compressors without a law.
        temperature: above 1 it flattens the distribution, below 1 it sharpens it, 0 is greedy. For ``smc``, see there.
        top_k: draw only from this many most probable bytes, and from those that tie with the last of them.
        top_p: draw only from the fewest most probable bytes whose probabilities sum to this.
        min_p: leave out bytes whose probability is less than this times that of the most probable byte.
        repetition_penalty: 1.05 to 1.3 lead out of loops, 1 is off (``compgen.sampling.repetition``).
        no_repeat_ngram: never repeat this many bytes in a row, of the prompt or of the sample.
        allow: what to draw: ``utf-8``, ``printable``, ``chars:...`` or ``bytes`` (``compgen.models.allowed``). By
            default ``utf-8`` if all prompts are text without a layout, and otherwise ``bytes``; the result tells.
        frozen: True lets the model learn from the prompt alone, and not from its own sample.
        bits: for ``decode``, a file whose bits are decoded. By default, random bits are decoded.
        stop: strings that end a continuation. They are not part of it.
        seed: the seed of the random numbers. By default, a random seed; the result tells it.
        layout: the rows of a picture or the frames of sound that the bytes are, or the medium, for notebooks to show.
        watch: called as bytes are drawn; see ``compgen.sampling.base.Watch``.
        unknown: no other arguments exist; those of other libraries are answered with the right ones.

    Returns:
        The continuations, with the seed that draws them again.

    Raises:
        UsageError: a spec or an option is wrong. CompgenError: the compressor failed. TypeError: no such argument.
    """
    _refuse(unknown)
    several = isinstance(prompt, list | tuple)
    prompts = tuple(as_bytes(one, "a prompt") for one in prompt) if several else (as_bytes(prompt, "the prompt"),)
    options = {
        "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "allow": allow, "frozen": frozen,
        "repetition_penalty": repetition_penalty, "no_repeat_ngram": no_repeat_ngram, "bits": bits,
    }  # fmt: skip
    sampler = _chosen(sampler, options)
    if several and not isinstance(sampler, Ancestral):
        raise UsageError(f"the {sampler.name} sampler continues one prompt; use ancestral for several")
    layout, medium = _laid_out(layout, several)
    request = Request(
        model=load(compressor, rule=rule, effort=effort, layout=layout).resolved(),
        prompt=b"" if several else prompts[0],
        each=prompts if several else (),
        length=length,
        samples=len(prompts) if several else samples,
        seed=secrets.randbits(32) if seed is None else seed,
        stop=_stop_strings(stop),
        watch=watch or (lambda made, final: None),
    )
    sampler = _with_default_allow(sampler, prompts, layout or Layout())
    drawn = tuple(map(request.cut_at_stop, sampler.draw(request)))
    return Samples(drawn, request.model, sampler, request.seed, prompts, medium)


def _laid_out(layout: Layout | Medium | None, several: bool) -> tuple[Layout | None, Medium | None]:
    """Return the layout of prompts, and their medium if it is told. A row that is a prompt has no row above it."""
    if not isinstance(layout, Medium):
        return layout, None
    return dataclasses.replace(layout.layout, stride=0) if several else layout.layout, layout


def _chosen(sampler: str | Sampler, options: Mapping[str, Any]) -> Sampler:
    """Return a sampler as it is, or the one that a spec names with ``options``."""
    if isinstance(sampler, str):
        return sampler_with(sampler, options)
    if any(value is not None for value in options.values()):
        raise UsageError("give a sampler's options to the sampler, not to sample() beside it")
    return sampler


def _with_default_allow(sampler: Sampler, prompts: Sequence[bytes], layout: Layout) -> Sampler:
    """Return ``sampler`` with ``allow`` named, if it has such an option and nothing is given."""
    if "allow" not in sampler.option_names() or getattr(sampler, "allow", None) is not None:
        return sampler
    if layout != Layout():
        return sampler
    named = {"allow": "utf-8" if all(map(is_text, prompts)) else "bytes"}
    return dataclasses.replace(sampler, **named)  # type: ignore[type-var]


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Raise a TypeError that says what to write in place of an argument that ``sample`` does not have."""
    for word in unknown:
        raise TypeError(_advice(word))


def _advice(word: str) -> str:
    if (ours := FOREIGN.get(word)) is None:
        return f"sample() has no argument '{word}'{suggest(word, list(inspect.signature(sample).parameters)[:-1])}"
    written = ", ".join(
        f"{key}={value!r}" if value.islower() else f"{key}={value}" for key, value in ours.options.items()
    )
    return f"sample() has no argument '{word}'; write {written}{', ' * bool(ours.remark)}{ours.remark}"


def _stop_strings(stop: bytes | str | Sequence[bytes | str]) -> tuple[bytes, ...]:
    """Return one stop string, or several, as bytes."""
    strings = stop if isinstance(stop, list | tuple) else [stop]
    return tuple(as_bytes(one, "a stop string") for one in strings)
