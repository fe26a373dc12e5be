"""compgen: any compressor is a generative model, and any generative model is a lossless compressor.

Functions::

    sample(compressor, prompt, length=200)    continue a prompt by what a compressor expects
    score(compressor, data, context)          what each byte of data costs after the context, in bits
    compress(data, model)                     bytes to a smaller file, by any compressor or model
    decompress(blob)                          the file back to the same bytes
    open(path, mode, model)                   a file object, as gzip.open gives
    load(spec)                                a model: distributions of the next byte
    ncd(a, b, compressor)                     how much two strings have in common
    register(name, cls)                       make a class of your own known by a name

A compressor is named by a spec: ``"gzip"``, ``"xz:level=9"``, ``"gzip+ppmd"``, a mixture; ``cgn compressors`` lists
them. ``help(compgen.sample)`` and so on tell all arguments.

>>> import compgen
>>> text = b"How much wood would a woodchuck chuck if a woodchuck could chuck wood? " * 4
>>> compgen.sample("gzip", text, length=12, seed=1)[0].data  # doctest: +SKIP
b'...'

Each name is imported when it is first used, so ``import compgen`` imports neither NumPy nor torch.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as in typing, which takes longer to import than all that is here
if TYPE_CHECKING:
    from compgen.coding.api import compress as compress
    from compgen.coding.api import decompress as decompress
    from compgen.coding.api import open as open
    from compgen.coding.model_compressor import ModelCompressor as ModelCompressor
    from compgen.compressors.base import Compressor as Compressor
    from compgen.compressors.base import Meter as Meter
    from compgen.errors import CompgenError as CompgenError
    from compgen.evaluation.ncd import ncd as ncd
    from compgen.evaluation.score import Score as Score
    from compgen.evaluation.score import score as score
    from compgen.models import load as load
    from compgen.models.base import ByteModel as ByteModel
    from compgen.models.base import State as State
    from compgen.models.derived.model import CodeLengthModel as CodeLengthModel
    from compgen.sampling import sample as sample
    from compgen.sampling.base import Sample as Sample
    from compgen.sampling.base import Sampler as Sampler
    from compgen.sampling.base import Samples as Samples

__version__ = "0.1.0"

_HOMES = {  # the module of each public name
    "ByteModel": "compgen.models.base",
    "CodeLengthModel": "compgen.models.derived.model",
    "CompgenError": "compgen.errors",
    "Compressor": "compgen.compressors.base",
    "ModelCompressor": "compgen.coding.model_compressor",
    "Meter": "compgen.compressors.base",
    "Sample": "compgen.sampling.base",
    "Sampler": "compgen.sampling.base",
    "Samples": "compgen.sampling.base",
    "Score": "compgen.evaluation.score",
    "State": "compgen.models.base",
    "compress": "compgen.coding.api",
    "decompress": "compgen.coding.api",
    "load": "compgen.models",
    "ncd": "compgen.evaluation.ncd",
    "open": "compgen.coding.api",
    "sample": "compgen.sampling",
    "score": "compgen.evaluation.score",
}

__all__ = ["__version__", "register", *_HOMES]


def register(name: str, cls: type[Compressor] | type[ByteModel] | type[Sampler]) -> None:
    """Make a compressor, model or sampler of your own known by ``name`` in this process.

    To make it known in every process, ship an entry point in the group ``compgen.compressors``, ``compgen.models`` or
    ``compgen.samplers``.

    Raises:
        SpecError: the name is not legal or belongs to another class, or ``cls`` cannot be built from a spec.
        UsageError: ``cls`` is not a subclass of the three, or a compressor and a model would share the name.
    """
    from compgen.compressors import COMPRESSORS, Compressor
    from compgen.errors import UsageError
    from compgen.models import MODELS, ByteModel
    from compgen.sampling import SAMPLERS, Sampler

    if not isinstance(name, str):
        raise UsageError(f"name must be text, not {type(name).__name__}")
    if not isinstance(cls, type) or not issubclass(cls, (Compressor, ByteModel, Sampler)):
        raise UsageError(f"{cls!r} is not a subclass of Compressor, ByteModel or Sampler")
    if name in (MODELS if issubclass(cls, Compressor) else COMPRESSORS) and not issubclass(cls, Sampler):
        raise UsageError(f"there is a compressor or model '{name}' already; choose another name")
    if issubclass(cls, Compressor):
        COMPRESSORS.register(name, cls)
    elif issubclass(cls, ByteModel):
        MODELS.register(name, cls)
    else:
        SAMPLERS.register(name, cls)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'compgen' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
