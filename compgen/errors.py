"""Everything that compgen raises on purpose.

::

    CompgenError             exit 1   something failed; the message says what to do
    ├── CompressorError      exit 1   a compressor, or the program behind it, failed
    │   └── CorruptDataError exit 1   a blob does not decode
    ├── IncompatibleError    exit 1   a file was written by what this machine does not have, or needs the caller's word
    ├── MissingExtraError    exit 1   an optional package is not installed
    ├── OutOfMemoryError     exit 1   a model or its states do not fit its device's memory
    └── UsageError           exit 2   the caller asked for something that does not exist
        └── SpecError        exit 2   a compressor, model or sampler spec is wrong

Each message stands alone on one line and names the fix. The command line prints it and exits with
the number given above; a traceback from compgen is a defect.
"""

from __future__ import annotations


class CompgenError(Exception):
    """Base of every error that compgen raises on purpose."""

    exit_code = 1


class CompressorError(CompgenError):
    """A compressor, or the external program behind it, failed."""


class CorruptDataError(CompressorError):
    """A blob is not the whole and unchanged output of this compressor."""


class IncompatibleError(CompgenError):
    """A file needs another format version, another build of a library, or a model that only the caller may name."""


class MissingExtraError(CompgenError, ImportError):
    """An optional package is needed; the message names the command which installs it."""


class OutOfMemoryError(CompgenError, MemoryError):
    """A model or its states do not fit the memory of their device; fewer lanes may."""


class UsageError(CompgenError, ValueError):
    """An argument is out of range, of the wrong kind, or names nothing."""

    exit_code = 2


class SpecError(UsageError):
    """A spec does not parse, or names an unknown compressor, model, sampler or option."""
