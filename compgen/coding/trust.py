"""Decide whether to load the model that a file names.

A file may choose only built-in models whose cost is bounded (``budget.py``), since a file is data and not a program: it
must not choose what is run, read from disk, or allocated. And the model must behave here as where the file was written.
"""

from __future__ import annotations

import contextlib
import shlex
from typing import TypeAlias

from compgen.coding.budget import Budget, Starts, Work
from compgen.coding.container import ModelFrame
from compgen.coding.fingerprint import earlier_fingerprint, fingerprint
from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor
from compgen.errors import IncompatibleError, UsageError
from compgen.models import MODELS, ByteModel, load
from compgen.models.base import PRECISION
from compgen.models.language import BEAM
from compgen.models.mixture import members_of
from compgen.registry import Spec, split_mixture

Model: TypeAlias = str | Spec | Compressor | ByteModel
"""The forms in which a caller may give a model: a spec, a compressor, or the model itself."""

DEFAULT_RULE = "calibrated"
"""The rule of compressors in files, if none is named: to compress is to do the best one can. A file that compgen writes
always names the rule. One written before 29 November 2026 may not, and means this."""

_LAST_COMMITS = {1: "b07fe31", 2: "1020100", 3: "1020100"}
"""The last commit of compgen that reads all files of each earlier version. What is gone since is refused by name."""

_OTHER_LAWS = ("gzip", "zlib", "deflate", "xz", "zstd")
"""Compressors whose laws were others in version 1: prices were renewed more seldom, or fitted from code lengths."""

_NO_LAWS = ("png", "flac")
"""Compressors that had no law in version 1, and were calibrated where no rule was named."""


def load_from_file(spec: str, starts: Starts | None = None) -> ByteModel:
    """Return the model that ``spec``, found in a file, names.

    Args:
        spec: what the file says.
        starts: of the models that the file has chosen before; None if there are none.

    Raises:
        IncompatibleError: a file may not choose this model, or the spec does not work here.
        LimitError: to check the model takes too long.
    """
    starts = starts or Starts()
    try:
        members = split_mixture(spec)
        members = members_of(spec) if len(members) > 1 else members
        for member in members:
            _check_member(spec, Spec.parse(member))
        if not starts.knows(spec):
            # One by one: to load a member may fit its law, which takes time already.
            for member in members:
                starts.add(load(member).resolved(DEFAULT_RULE), spec)
        return load(spec).resolved(DEFAULT_RULE)
    except UsageError as error:
        raise IncompatibleError(f"this file was written with '{spec}', which does not work here: {error}") from None


def _check_member(spec: str, member: Spec) -> None:
    """Check that a file may choose ``member`` of the mixture ``spec``; errors as in ``load_from_file``."""
    registry = MODELS if member.name in MODELS else COMPRESSORS
    if not registry.is_builtin(member.name) or member.argument is not None:
        moved = ", or llm: with the folder where these weights lie here" if member.name == "llm" else ""
        raise IncompatibleError(
            f"this file was written with '{spec}', and no file may choose what is run or read: "
            f"to trust it, give --compressor {shlex.quote(spec)}{moved}"
        )


def _check_version(frame: ModelFrame, trusted: bool) -> None:
    """Check that a container of an earlier version names no model that is another one today.

    ``trusted`` is whether the caller gave the model, so that a plugin in it may be loaded.

    Raises:
        IncompatibleError: it names one.
    """
    commit = _LAST_COMMITS.get(frame.version)
    with contextlib.suppress(UsageError):  # loading says what is wrong with a spec
        if commit and (gone := _gone(frame, trusted)):
            raise IncompatibleError(
                f"this file was written with '{frame.spec}' by {gone} of format version {frame.version}, which was "
                f"another model: to read it, use the last commit that had it (git checkout {commit})"
            )


def _gone(frame: ModelFrame, trusted: bool) -> str | None:
    """Return what in the model that ``frame`` names, of an earlier version, is another thing today; None if nothing is.

    Raises:
        UsageError: the spec is wrong.
    """
    if _has_mixture(frame.spec):
        return "the mixer"
    members = [(frame.spec, "calibrated")] if frame.version == 1 else []  # with their rules if they name none
    while members:
        text, default = members.pop()
        member = Spec.parse(text)
        if member.name in MODELS or not (trusted or COMPRESSORS.is_builtin(member.name)):
            continue
        rule = dict(member.options).get("rule") or default
        if not rule:
            rule = "calibrated" if member.name in _NO_LAWS else "decoder"
        if rule == "calibrated" and COMPRESSORS.get(member.name).law_kind != "none":
            return "the calibrated rule"
        if rule == "decoder" and member.name in _OTHER_LAWS:
            return f"the law of {member.name}"
        if member.name == "model" and member.argument:
            members.append((member.argument, ""))
    return None


def _has_mixture(spec: str) -> bool:
    """Return whether ``spec`` is a mixture, or a model that holds one.

    Raises:
        UsageError: the spec is wrong.
    """
    text: str | None = spec
    while text:
        if len(split_mixture(text)) > 1:
            return True
        member = Spec.parse(text)
        text = member.argument if member.name in ("model", "mixture") else None
    return False


def _comparable(spec: str) -> list[tuple[str, str | None, frozenset[tuple[str, str]]]]:
    """Return what two specs must have in common to name the same model, member by member.

    The paths of weights are left out, since the fingerprint identifies the weights; a rule that is not named is added.
    """
    found = []
    for member in map(Spec.parse, split_mixture(spec)):
        options = dict(member.options)
        if member.name not in MODELS:
            options.setdefault("rule", DEFAULT_RULE)
        if member.name == "llm" and options.get("beam") == str(BEAM):
            del options["beam"]  # files may name it that were written before it became the default
        found.append((member.name, None if member.name == "llm" else member.argument, frozenset(options.items())))
    return found


def model_of(
    frame: ModelFrame, given: ByteModel | None, budget: Budget, first: Work, starts: Starts | None = None
) -> ByteModel:
    """Return the model that decodes a file's coded segments: ``given``, or the one that ``frame`` names.

    ``starts`` is as in ``load_from_file``.

    Raises:
        UsageError: the file was written with another model than ``given``.
        IncompatibleError: a file may not choose this model, or the model behaves otherwise here or is gone.
        LimitError: to find that out, or to decode the ``first`` segment, costs more than ``budget``.
    """
    _check_version(frame, given is not None)
    if given is not None and _comparable(str(given)) != _comparable(frame.spec):
        raise UsageError(f"this file was written with '{frame.spec}', not '{given}'; name that one")
    model = given if given is not None else load_from_file(frame.spec, starts)
    works = Work.of_fingerprint(model, frame.lanes), first
    budget.check_memory(model, max(works, key=lambda work: work.memory(model)), given is not None)
    if frame.precision == PRECISION and fingerprint(model).startswith(frame.fingerprint):
        return model
    for earlier in model.earlier():
        if earlier_fingerprint(earlier, frame.lanes) == frame.fingerprint:
            return earlier
    theirs = f"written with {frame.versions}; " if frame.versions else ""
    builds = f" ({theirs}here: {model.versions})" if model.versions else ""
    raise IncompatibleError(
        f"'{frame.spec}' behaves otherwise here than where this file was written{builds}, so that decoding would "
        f"fail; use the same build and weights"
    )
