"""A segment coded with nothing known before it: as tokens where its model can, else as bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable

from compgen.coding import segment, token_segment
from compgen.coding.container import SegmentFrame
from compgen.coding.segment import Progress
from compgen.errors import CompgenError, CorruptDataError
from compgen.models import ByteModel
from compgen.models.language import TokenModel


def encode(
    model: ByteModel,
    data: bytes,
    lanes: int,
    verify: bool,
    coding: Progress = lambda done: None,
    verifying: Progress = lambda done: None,
) -> tuple[bytes, bool]:
    """Return the code of ``data``, and whether it is one of tokens.

    Raises:
        CompgenError: with ``verify``, the code does not decode to ``data``.
    """
    tokens = model.encode(data) if isinstance(model, TokenModel) else None
    if isinstance(model, TokenModel) and tokens is not None:
        code = token_segment.encode(model.start_tokens(lanes), tokens, coding)
    else:
        code = segment.encode(model.start([b""] * lanes), data, coding)
    if verify:
        frame = SegmentFrame(len(data), code, b"", coded=True, tokens=tokens is not None)
        check(functools.partial(decode, model, frame, lanes, verifying), data)
    return code, tokens is not None


def decode(model: ByteModel, frame: SegmentFrame, lanes: int, watch: Progress = lambda done: None) -> bytes:
    """Return the bytes of a coded segment.

    Raises:
        CorruptDataError: the code is damaged, or one of tokens where the model has none.
    """
    if not frame.tokens:
        return segment.decode(model.start([b""] * lanes), frame.body, frame.length, watch)
    if not isinstance(model, TokenModel):
        raise CorruptDataError(f"the file is damaged: it holds tokens, and '{model}' codes bytes alone")
    state = model.start_tokens(lanes)
    return token_segment.decode(state, frame.body, frame.length + len(state.lead), watch)[len(state.lead) :]


def check(decoding: Callable[[], bytes], data: bytes) -> None:
    """Find out whether ``decoding`` gives ``data``.

    Raises:
        CompgenError: it does not.
    """
    try:
        sound = decoding() == data
    except CorruptDataError:
        sound = False
    if not sound:
        raise CompgenError(
            "what was written does not decode: the model gave other frequencies the second time; nothing was kept"
        )
