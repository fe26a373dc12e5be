"""What a file may choose: a model that is built in, of bounded size, and that behaves here as where it was written."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from compgen.coding.container import ModelFrame
from compgen.coding.fingerprint import fingerprint
from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor
from compgen.errors import IncompatibleError, UsageError
from compgen.models import MODELS, ByteModel, load
from compgen.models.base import PRECISION
from compgen.registry import Spec, split_mixture

Model: TypeAlias = str | Spec | Compressor | ByteModel
"""What a caller may give for a model: a spec, a compressor, or the model itself."""

_MOST_FROM_A_FILE = {"memory": 64, "window": 1 << 20}
"""The largest values of options that a file may choose: MB for ``memory``, bytes for ``window``."""


def load_from_file(spec: str) -> ByteModel:
    """Return the model that a spec found in a file names, if a file may choose it: built-in, and of bounded size.

    Raises:
        IncompatibleError: only the caller may name it.
    """
    try:
        for member in split_mixture(spec):
            name, options = (parsed := Spec.parse(member)).name, dict(parsed.options)
            registry = MODELS if name in MODELS else COMPRESSORS
            if not registry.is_builtin(name) or parsed.argument is not None:
                moved = ", or llm: with the folder where these weights lie here" if name == "llm" else ""
                raise IncompatibleError(
                    f"this file was written with '{spec}', and no file may choose what is run or read: "
                    f"to trust it, give --compressor '{spec}'{moved}"
                )
            for key, most in _MOST_FROM_A_FILE.items():
                if options.get(key, "0").isdecimal() and int(options.get(key, "0")) > most:
                    raise IncompatibleError(
                        f"this file was written with '{spec}', which takes more memory than a file may ask for: "
                        f"to allow it, give --compressor '{spec}'"
                    )
        return load(spec)
    except UsageError as error:
        raise IncompatibleError(f"this file was written with '{spec}', which does not work here: {error}") from None


def _without_paths(spec: str) -> list[Spec]:
    """Return the members of ``spec`` without the paths of their weights. The fingerprint identifies the weights."""
    members = map(Spec.parse, split_mixture(spec))
    return [dataclasses.replace(m, argument=None) if m.name == "llm" else m for m in members]


def model_of(frame: ModelFrame, given: ByteModel | None) -> ByteModel:
    """Return the model that a file's coded segments need.

    Raises:
        UsageError: the caller gave another.
        IncompatibleError: only the caller may name it, or it behaves otherwise here.
    """
    if given is not None and _without_paths(str(given)) != _without_paths(frame.spec):
        raise UsageError(f"this file was written with '{frame.spec}', not '{given}'; give that, or leave it out")
    model = given if given is not None else load_from_file(frame.spec)
    if frame.precision != PRECISION or fingerprint(model, frame.lanes) != frame.fingerprint:
        theirs = f" (written with {frame.versions}; here: {model.versions})" if frame.versions else ""
        raise IncompatibleError(
            f"'{frame.spec}' behaves otherwise here than where this file was written{theirs}, so that decoding would "
            f"fail; use the same build and weights"
        )
    return model
