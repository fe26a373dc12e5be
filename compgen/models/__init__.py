"""Next-byte distributions by name, and ``load``, which turns any spec into one."""

from __future__ import annotations

import dataclasses
from typing import Any

from compgen.arguments import checked
from compgen.compressors import COMPRESSORS, Compressor
from compgen.errors import SpecError
from compgen.media.layout import Layout
from compgen.models.base import ByteModel, State
from compgen.models.derived.model import CodeLengthModel
from compgen.models.mixture import Mixture, members_of
from compgen.registry import Entry, Registry, Spec, split_mixture, suggest

__all__ = ["MODELS", "ByteModel", "CodeLengthModel", "Mixture", "State", "load"]

MODELS: Registry[ByteModel] = Registry(
    "model",
    "compgen.models",
    "compgen.models.base:ByteModel",
    {
        "mixture": Entry("compgen.models.mixture:Mixture"),
        "llm": Entry("compgen.neural.llm:LLM", extra="llm"),
        "history": Entry("compgen.models.history:HistoryModel"),
        "signal": Entry("compgen.models.signal:SignalModel"),
        "backoff": Entry("compgen.models.backoff:Backoff"),
        "uniform": Entry("compgen.models.uniform:Uniform"),
    },
)


@checked
def load(
    spec: str | Spec | Compressor | ByteModel,
    *,
    rule: str | None = None,
    effort: str | None = None,
    window: int | None = None,
    layout: Layout | None = None,
) -> ByteModel:
    """Return the next-byte distribution that ``spec`` names.

    Args:
        spec: the spec of a model, a compressor (``gzip``) or a mixture (``gzip+ppmd``). A compressor's spec may hold
            options of the model over it (``gzip:level=6,window=8192``). A model or compressor itself is taken too.
        rule: how a compressor becomes a distribution: ``decoder``, ``calibrated`` or ``one-step``; overrides the
            spec's.
        effort: what the calibrated rule may spend, ``fast`` or ``best``; for compressors without a law; overrides the
            spec's.
        window: the context window, bytes; overrides the spec's.
        layout: how the bytes lie, for models and compressors that can use it. The spec's own options override it.

    Raises:
        SpecError: the spec names no known model or compressor, or an option is wrong.
        MissingExtraError: the model needs a package that is not installed.
    """
    if isinstance(spec, str):
        spec = Spec("mixture", spec) if len(split_mixture(spec)) > 1 else Spec.parse(spec)
    model = _build(spec) if isinstance(spec, Spec) else spec
    if isinstance(model, Compressor):
        model = CodeLengthModel(model)
    given: dict[str, Any] = {
        key: value for key, value in (("rule", rule), ("effort", effort), ("window", window)) if value is not None
    }
    if given:
        model = _with(model, given)
    return model if layout is None else model.laid_out(layout)


def _with(model: ByteModel, given: dict[str, Any]) -> ByteModel:
    """Return ``model`` with the options ``given``; a mixture passes them on to its members."""
    if isinstance(model, Mixture):
        return Mixture(tuple(load(member, **given) for member in model.members))
    for key in given:
        if key not in model.option_names():
            raise SpecError(f"{model.name} is not derived from a compressor and has no option {key}; leave it out")
    return dataclasses.replace(model, **given)  # type: ignore[type-var]


def _build(spec: Spec) -> ByteModel:
    """Return the model that ``spec`` names, or the model over the compressor that it names."""
    if spec.name == Mixture.name:
        return Mixture(tuple(load(member) for member in members_of(spec.argument or "")))
    if spec.name in MODELS:
        return MODELS.build(spec)
    if spec.name not in COMPRESSORS:
        known = [*COMPRESSORS.names(), *MODELS.names()]
        raise SpecError(f"unknown compressor or model '{spec.name}'{suggest(spec.name, known)}")
    spec, options = spec.split(CodeLengthModel.option_names())
    known = [*COMPRESSORS.get(spec.name).option_names(), *CodeLengthModel.option_names()]
    for key, _ in spec.options:
        if key not in known:
            raise SpecError(f"{spec.name} has no option '{key}'{suggest(key, known)}")
    return CodeLengthModel.over(COMPRESSORS.build(spec), options)
