"""Continuations as they are drawn: server-sent events, and an end to the work once nobody listens."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from compgen.display import one_line
from compgen.errors import CompgenError, UsageError
from compgen.media.layout import Layout
from compgen.models.base import ByteModel
from compgen.playground.limits import LENGTH, SECONDS
from compgen.playground.work import Shop
from compgen.sampling import sample

_TICK = 0.25
"""Seconds between two looks whether somebody still listens. Chosen: nobody notices, and it costs nothing."""


@dataclass(frozen=True)
class Wish:
    """What to draw.

    Attributes:
        model: the model to draw from.
        text: the bytes before.
        layout: of the bytes, for pictures and sound.
        length: bytes to draw.
        temperature: see ``compgen.sample``.
        seed: of the random numbers.
    """

    model: ByteModel
    text: bytes
    layout: Layout
    length: int
    temperature: float
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= LENGTH:
            raise UsageError(f"length must be 1 to {LENGTH} bytes, not {self.length}")


class _Left(Exception):  # noqa: N818 - it is no error: nobody listens any more
    """Nobody listens any more, or the time is over."""


@dataclass
class _Talk:
    """What the thread that draws and the one that sends tell each other."""

    wish: Wish
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    over: threading.Event = field(default_factory=threading.Event)

    def say(self, kind: str, value: Any) -> None:
        self.loop.call_soon_threadsafe(self.events.put_nowait, (kind, value))

    def draw(self) -> None:
        """Draw, and tell each byte as it is made; end early if nobody listens."""
        end = time.monotonic() + SECONDS
        wish = self.wish

        def watch(made: int, final: bytes) -> None:
            if self.over.is_set() or time.monotonic() > end:
                raise _Left
            self.say("bytes", list(final))

        try:
            if self.over.is_set():
                return
            found = sample(
                wish.model, wish.text, length=wish.length, temperature=wish.temperature, seed=wish.seed, watch=watch,
                layout=None if wish.layout == Layout() else wish.layout,
            )  # fmt: skip
            bits = [round(b, 3) for b in found[0].surprisals.tolist()]
            self.say("end", {"data": list(found[0].data), "bits": bits, "seed": found.seed, "model": str(found.model)})
        except _Left:
            self.say("failed", f"{SECONDS:g} seconds are over; ask for fewer bytes, or a faster compressor")
        except CompgenError as error:
            self.say("failed", str(error))


async def stream(shop: Shop, wish: Wish, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """Yield server-sent events: ``bytes`` as they are drawn, then ``end`` with all of them and their surprisals.

    Args:
        shop: where the work is done.
        wish: what to draw.
        gone: tells whether nobody listens any more, or the server ends.
    """
    talk = _Talk(wish, asyncio.get_running_loop())
    work = asyncio.ensure_future(shop.do_long(talk.draw))
    try:
        yield _event("start", {"model": str(wish.model), "seed": wish.seed})
        while True:
            made: list[int] = []
            try:
                kind, value = await asyncio.wait_for(talk.events.get(), _TICK)
                while kind == "bytes":
                    made += value
                    kind, value = ("", None) if talk.events.empty() else talk.events.get_nowait()
            except TimeoutError:
                kind, value = "", None
                if work.done() and work.exception() is not None and talk.events.empty():
                    kind, value = "failed", str(work.exception())
            if made:
                yield _event("bytes", made)
            if kind:
                yield _event(kind, {"error": one_line(value)} if kind == "failed" else value)
                return
            if await gone():
                return
    finally:
        talk.over.set()
        work.cancel()


def _event(kind: str, value: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
