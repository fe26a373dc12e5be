"""What the page asks of a model: its next bytes, the surprisals of a text, and where a byte's chance comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from compgen.compressors.null import Null
from compgen.errors import UsageError
from compgen.laws.base import SHARE_BITS, Law
from compgen.laws.lz77 import Lz77Law
from compgen.laws.parses import ways
from compgen.laws.parts import ORDERS
from compgen.models import CodeLengthModel
from compgen.models.base import PRECISION, ByteModel
from compgen.playground.desk import STEP, Desk
from compgen.playground.offered import law_of

_PARTS_SHOWN = 6
"""Parts of a law that an explanation shows at most, those of the longest contexts. Chosen: a glance takes in six."""


def next_bytes(desk: Desk, model: ByteModel, text: bytes) -> dict[str, Any]:
    """Return what ``model`` expects after ``text``.

    Returns:
        ``frequencies``: of all bytes; they sum to 2**24. ``expected``: bits of the next one. ``needs``: see ``_needs``.
    """
    frequencies = desk.after(model, text).state.frequencies()[0]
    shares = frequencies / (1 << PRECISION)
    return {
        "model": str(model),
        "frequencies": frequencies.tolist(),
        "expected": round(float(-(shares * np.log2(shares)).sum()), 4),
        "needs": _needs(model, text) if np.ptp(frequencies) == 0 else None,
    }


def _needs(model: ByteModel, text: bytes) -> int | None:
    """Return the bytes that a law must know before it expects anything, where ``text`` is shorter; otherwise None."""
    owner = law_of(model)
    if owner is None or owner.chosen_rule == "one-step" or isinstance(owner.compressor, Null):
        return None
    law = owner.compressor.law()
    return law.renewals.first if isinstance(law, Lz77Law) and len(text) < law.renewals.first else None


def surprisals(desk: Desk, model: ByteModel, text: bytes) -> dict[str, Any]:
    """Return the surprisals of the last bytes of ``text``, and the position of the first of them."""
    reading = desk.surprisals(model, text)
    return {"model": str(model), "begin": reading.begin, "bits": [round(b, 3) for b in reading.bits.tolist()]}


def explanation(desk: Desk, model: ByteModel, text: bytes, position: int) -> dict[str, Any]:
    """Return what ``model`` expected of the byte at ``position``, and why, as far as its law can tell.

    Raises:
        UsageError: there is no such byte.
    """
    if not 0 <= position < len(text):
        raise UsageError(f"position must be one of a byte of the text, 0 to {len(text) - 1}, not {position}")
    context, symbol = text[:position], text[position]
    frequencies = desk.after(model, context).state.frequencies()[0]
    told: dict[str, Any] = {
        "model": str(model),
        "rule": model.chosen_rule if isinstance(model, CodeLengthModel) else None,
        "position": position,
        "byte": symbol,
        "bits": round(float(PRECISION - np.log2(frequencies[symbol])), 3),
        "rank": int((frequencies > frequencies[symbol]).sum()) + 1,
        "seen": _seen(context, symbol),
        "ways": None,
        "parts": [],
    }
    owner = law_of(model)
    if owner is None or owner.chosen_rule == "one-step":
        return told
    law, known = owner.compressor.law(), owner.context_window.visible(context)
    told["ways"] = _ways(law, known, symbol, position - len(known)) if owner.chosen_rule == "decoder" else None
    if told["ways"] is None and law.family in _FIRST_ORDER:
        told["parts"] = _parts(law, known, symbol)
    return told


def _seen(context: bytes, symbol: int) -> dict[str, int] | None:
    """Return where the longest suffix of the context stood before with ``symbol`` behind it; None if nowhere.

    Returns:
        ``length``: bytes of the suffix, STEP at most. ``place``: the position of the byte behind its latest such place.
    """
    low, high, place = 0, min(len(context), STEP), context.rfind(symbol)
    if place < 0:
        return None
    while low < high:  # a suffix that stood there stands there with its own suffixes
        middle = (low + high + 1) // 2
        found = context.rfind(context[len(context) - middle :] + bytes([symbol]))
        low, high, place = (middle, high, found + middle) if found >= 0 else (low, middle - 1, place)
    return {"length": low, "place": place}


def _ways(law: Law, context: bytes, symbol: int, dropped: int) -> dict[str, Any] | None:
    """Return the ways to write a byte; positions count from the whole text, of which the window has dropped some."""
    found = ways(law, context, symbol) if isinstance(law, Lz77Law) else None
    if found is None:
        return None
    return {
        "literal": round(found.literal, 4),
        "sources": [{"distance": s.distance, "run": s.run, "share": round(s.share, 4)} for s in found.sources],
        "parses": [
            {
                "share": round(parse.share, 4),
                "pieces": [
                    [piece.begin + dropped, piece.end + dropped, piece.distance, round(piece.bits, 2)]
                    for piece in parse.pieces
                ],
            }
            for parse in found.parses
        ],
    }


_FIRST_ORDER = {"copies": 1, "ppmd": 0}
"""The families of laws whose parts are contexts of ORDERS, and the row of the shortest: copies have literals first."""


def _parts(law: Law, context: bytes, symbol: int) -> list[dict[str, Any]]:
    """Return what the contexts of several lengths alone expect of ``symbol``, the longest first."""
    shares, _ = law.start(context).parts()
    rows = shares[_FIRST_ORDER[law.family] :]
    # A context that has not occurred expects what the next shorter one does.
    news = [order for order in range(len(ORDERS)) if not order or not np.array_equal(rows[order], rows[order - 1])]
    told = [{"order": ORDERS[n], "share": round(float(rows[n, symbol]) / (1 << SHARE_BITS), 5)} for n in news]
    return told[::-1][:_PARTS_SHOWN]
