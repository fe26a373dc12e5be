"""The compressors that the page offers, and the models that a request may name: never a program, a path or a plugin."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from compgen.compressors import COMPRESSORS
from compgen.errors import UsageError
from compgen.extras import EXTRAS, install, missing_extras
from compgen.media.layout import Layout
from compgen.models import CodeLengthModel, load
from compgen.models.base import ByteModel
from compgen.playground.limits import MEMBERS
from compgen.registry import Spec, split_mixture, suggest

_ABOUT = {
    "gzip": "copies what stood in the last 32 KB, and prices single letters by how frequent they are",
    "xz": "copies, and learns with each bit what its copies and letters are like",
    "zstd": "copies, with a code for each kind of step",
    "brotli": "copies, also from a dictionary of words that it was born with",
    "ppmd": "knows no copies: it counts what followed the last few letters",
    "bz2": "sorts all of the text by what follows, so it has no next byte; the rule is calibrated",
    "png": "gzip over the difference of each pixel to its neighbours",
    "flac": "predicts each sample of a sound from those before",
    "history": "compgen's own model of contexts, with no compressor in it",
    "null": "knows nothing: the control that every other one should beat",
}
"""The compressors that the page offers, and what each does, in a line."""

_RULES = ("decoder", "calibrated", "one-step")


@dataclass(frozen=True)
class Offer:
    """A compressor that the page offers.

    Attributes:
        name: its name in specs.
        about: what it does, in a line.
        rules: the rules that turn it into a distribution, its default first; none for a model.
    """

    name: str
    about: str
    rules: tuple[str, ...]


@functools.cache
def offers() -> tuple[Offer, ...]:
    """Return the compressors that can run here."""
    found = []
    for name, about in _ABOUT.items():
        if name in missing() or (name == "flac" and "media" in missing_extras()):
            continue
        rules: tuple[str, ...] = ()
        if name in COMPRESSORS:
            has_law = COMPRESSORS.get(name).law_kind != "none"
            rules = _RULES if has_law else _RULES[1:]
        found.append(Offer(name, about, rules))
    return tuple(found)


@functools.cache
def missing() -> dict[str, str]:
    """Return the compressors of the page that need an extra which is not installed, and what installs it."""
    extras = {"ppmd": "ppmd", "flac": "media"}
    lacking = missing_extras()
    return {name: install(extra) for name, extra in extras.items() if extra in lacking and extra in EXTRAS}


@functools.lru_cache(maxsize=64)
def model(spec: str, layout: Layout) -> ByteModel:
    """Return the model that a request names: compressors of the page, alone or joined by ``+``, each with its rule.

    Raises:
        UsageError: the spec names anything else.
    """
    members = split_mixture(spec)
    if len(members) > MEMBERS:
        raise UsageError(f"a blend has {MEMBERS} compressors at most, not {len(members)}")
    known = [offer.name for offer in offers()]
    for member in members:
        parsed = Spec.parse(member)
        if parsed.name in missing():
            raise UsageError(f"{parsed.name} is not installed: {missing()[parsed.name]}")
        if parsed.name not in known:
            raise UsageError(f"the playground has no compressor '{parsed.name}'{suggest(parsed.name, known)}")
        if parsed.argument is not None or any(key != "rule" for key, _ in parsed.options):
            raise UsageError(f"the playground takes a name and a rule, such as gzip:rule=one-step, not '{member}'")
    return load(spec).laid_out(layout).resolved()


def law_of(model: ByteModel) -> CodeLengthModel | None:
    """Return the model if it shows a compressor's law, whatever the rule; None for others."""
    if isinstance(model, CodeLengthModel) and type(model.compressor).law_kind != "none":
        return model
    return None
