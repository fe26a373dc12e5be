"""Samplers by name; and ``sample``, the one call that most people need."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from compgen.compressors.base import Compressor
from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.media.text import as_bytes
from compgen.models import load
from compgen.models.base import ByteModel
from compgen.registry import Entry, Registry, Spec
from compgen.sampling.ancestral import Ancestral
from compgen.sampling.base import Request, Sample, Sampler, Samples, Watch

__all__ = ["SAMPLERS", "Request", "Sample", "Sampler", "Samples", "sample", "sampler_with"]

SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    "compgen.samplers",
    {
        "ancestral": Entry("compgen.sampling.ancestral:Ancestral"),
        "beam": Entry("compgen.sampling.beam:Beam"),
        "smc": Entry("compgen.sampling.smc:SequentialMonteCarlo"),
        "decode": Entry("compgen.sampling.decode:Decode"),
        "decode-native": Entry("compgen.sampling.decode:DecodeNative"),
    },
)


def sampler_with(spec: str, options: Mapping[str, object]) -> Sampler:
    """Return the sampler that ``spec`` names, with ``options``; those that are None are not given.

    Raises:
        UsageError: there is no such sampler, it lacks an option, or a value is out of range.
    """
    parsed = Spec.parse(spec)
    cls = SAMPLERS.get(parsed.name)
    given = {key: str(value) for key, value in options.items() if value is not None}
    for key in given:
        if key not in cls.option_names():
            known = ", ".join(name.replace("_", "-") for name in cls.option_names())
            raise UsageError(f"the {cls.name} sampler has no {key.replace('_', '-')}; it has: {known}")
    rest, _ = parsed.split(given)
    return cls.from_spec(Spec(rest.name, rest.argument, (*rest.options, *given.items())))


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
    allow: str | None = None,
    frozen: bool | None = None,
    bits: str | None = None,
    stop: bytes | str | Sequence[bytes | str] = (),
    seed: int | None = None,
    layout: Layout | None = None,
    watch: Watch | None = None,
) -> Samples:
    """Continue ``prompt`` by what ``compressor`` expects.

    Args:
        compressor: a spec such as ``"gzip"`` or ``"xz:level=9"``, a compressor, or a model.
        prompt: the context; text is encoded as UTF-8. A list of them is continued side by side, one sample each.
        length: bytes to make.
        samples: continuations to draw: rows, beams or particles.
        sampler: ``ancestral``, ``beam``, ``smc``, ``decode``, ``decode-native``, a plugin's name, a spec, or a sampler.
        rule: how code lengths become a distribution, ``calibrated`` or ``one-step``.
        effort: what the calibrated rule spends, ``fast`` or ``best``.
        temperature: flattens (above 1) or sharpens the distribution; 0 is greedy; for ``smc`` the T of its target.
        top_k: draw from so many most probable bytes, and those that tie with the last.
        top_p: draw from the fewest bytes that hold this probability.
        min_p: leave out bytes under this share of the most probable one.
        allow: ``printable``, ``utf-8`` or ``chars:...``; see ``compgen.sampling.allowed``.
        frozen: let the model learn from the prompt alone, and not from its own sample.
        bits: for ``decode``: a file whose bits are decoded; without it they are random.
        stop: strings that end a continuation; they are not part of it.
        seed: of the random numbers; None draws one, and the result tells it.
        layout: how the bytes lie, where they are rows of a picture or frames of sound.
        watch: called as bytes are made; see ``compgen.sampling.base.Watch``.

    Returns:
        The continuations, with the seed that draws them again.

    Raises:
        UsageError: a spec or an option is wrong.
        CompgenError: the compressor failed.
    """
    options = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "allow": allow,
        "frozen": None if frozen is None else str(frozen).lower(),
        "bits": bits,
    }
    if isinstance(sampler, str):
        sampler = sampler_with(sampler, options)
    elif any(value is not None for value in options.values()):
        raise UsageError("give a sampler's options to the sampler, not to sample() beside it")
    stops = list(stop) if isinstance(stop, list | tuple) else [stop]
    each: tuple[bytes, ...] = ()
    if isinstance(prompt, list | tuple):
        each, prompt, samples = tuple(as_bytes(one, "a prompt") for one in prompt), b"", len(prompt)
        if not isinstance(sampler, Ancestral):
            raise UsageError(f"the {sampler.name} sampler continues one prompt; use ancestral for several")
    request = Request(
        model=load(compressor, rule=rule, effort=effort, layout=layout),
        prompt=as_bytes(prompt, "the prompt"),
        each=each,
        length=length,
        samples=samples,
        seed=secrets.randbits(32) if seed is None else seed,
        stop=tuple(as_bytes(one, "a stop string") for one in stops),
        watch=watch or (lambda made, final: None),
    )
    drawn = []
    for drawn_sample in sampler.draw(request):
        end = request.stop_position(drawn_sample.data)
        drawn.append(drawn_sample if end < 0 else drawn_sample.cut(end))
    return Samples(tuple(drawn), request.model, sampler, request.seed)
