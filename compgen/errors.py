"""The errors that compgen raises on purpose.

::

    CompgenError             exit 1   something failed; the message says what to do
    ├── CompressorError      exit 1   a compressor, or the program behind it, failed
    │   └── CorruptDataError exit 1   a blob does not decode
    ├── IncompatibleError    exit 1   a file needs another version, build or model, or the caller must name its model
    ├── LimitError           exit 1   a file would cost more memory, time or bytes than the caller accepts
    ├── MissingExtraError    exit 1   an optional package is not installed
    ├── OutOfMemoryError     exit 1   a model or its states do not fit into the memory of their device
    └── UsageError           exit 2   an argument is out of range, of the wrong kind, or names nothing
        └── SpecError        exit 2   the spec of a compressor, model or sampler is wrong

    BlindnessWarning         a warning: a compressor does not see a copy of the data, so its distances tell little
    LossWarning              a warning: a picture or a sound became bytes, and something of it was changed

Each message is one line that says what is wrong and what to do. The command line prints it and exits with the number
above. A traceback from compgen is a defect.
"""

from __future__ import annotations


class CompgenError(Exception):
    """The base of every error that compgen raises on purpose."""

    exit_code = 1


class CompressorError(CompgenError):
    """A compressor, or the external program behind it, failed."""


class CorruptDataError(CompressorError):
    """A blob is not the complete and unchanged output of this compressor."""


class IncompatibleError(CompgenError):
    """A file needs another format version or another build of a library, or only the caller may name its model."""


class LimitError(CompgenError):
    """A file would cost more memory, time or bytes than the caller accepts. The message names what accepts it."""


class MissingExtraError(CompgenError, ImportError):
    """An optional package is not installed. The message names the command that installs it."""


class OutOfMemoryError(CompgenError, MemoryError):
    """A model or its states do not fit into the memory of their device. Fewer lanes may fit."""


class UsageError(CompgenError, ValueError):
    """An argument is out of range, of the wrong kind, or names nothing."""

    exit_code = 2


class SpecError(UsageError):
    """A spec does not parse, or names an unknown compressor, model, sampler or option."""


class BlindnessWarning(UserWarning):
    """A compressor does not see a copy of the data, so its distances tell little."""


class LossWarning(UserWarning):
    """A picture or a sound became bytes, and something of it was changed or dropped, such as its palette."""
