"""Code one segment without knowledge of the data before it: as tokens if its model has any, otherwise byte by byte."""

from __future__ import annotations

import functools
from collections.abc import Callable

from compgen.coding import byte_segment, token_segment
from compgen.coding.container import SegmentFrame
from compgen.errors import CompgenError, CorruptDataError
from compgen.models import ByteModel
from compgen.models.language import TokenModel
from compgen.types import Progress


def encode(
    model: ByteModel,
    data: bytes,
    lanes: int,
    verify: bool,
    coding: Progress = lambda done: None,
    verifying: Progress = lambda done: None,
) -> tuple[bytes, bool]:
    """Return the code of ``data``, and whether it is a code of tokens.

    Args:
        model: the model that codes.
        data: the bytes of the segment.
        lanes: parts that are coded side by side.
        verify: whether to decode the code and compare.
        coding: called with the number of bytes coded so far.
        verifying: called with the number of bytes decoded so far.

    Raises:
        CompgenError: ``verify`` is set, and the code does not decode to ``data``.
    """
    has_tokens = isinstance(model, TokenModel)
    if isinstance(model, TokenModel):
        kept, taken = token_segment.take_out(data, model.missing)
        code = taken + token_segment.encode(model.start_tokens(lanes), model.encode(kept) or [], coding)
    else:
        code = byte_segment.encode(model.start([b""] * lanes), data, coding)
    if verify:
        frame = SegmentFrame(len(data), code, b"", coded=True, tokens=has_tokens)
        check(functools.partial(decode, model, frame, lanes, verifying), data)
    return code, has_tokens


def decode(model: ByteModel, frame: SegmentFrame, lanes: int, watch: Progress = lambda done: None) -> bytes:
    """Return the bytes of a coded segment.

    Raises:
        CorruptDataError: the code is damaged, or is a code of tokens and the model has no tokens.
    """
    if not frame.tokens:
        return byte_segment.decode(model.start([b""] * lanes), frame.body, frame.length, watch)
    if not isinstance(model, TokenModel):
        raise CorruptDataError(f"the file is damaged: it holds tokens, and '{model}' codes bytes alone")
    state = model.start_tokens(lanes)
    taken, code = token_segment.read_list(frame.body, frame.length)
    kept = token_segment.decode(state, code, len(state.lead) + frame.length - len(taken), watch)
    return token_segment.put_back(kept[len(state.lead) :], taken)


def check(decode_again: Callable[[], bytes], data: bytes) -> None:
    """Check that ``decode_again`` returns ``data``.

    Raises:
        CompgenError: it does not.
    """
    try:
        sound = decode_again() == data
    except CorruptDataError:
        sound = False
    if not sound:
        raise CompgenError(
            "what was written does not decode: the model gave other frequencies the second time; nothing was kept"
        )
