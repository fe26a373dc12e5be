"""The server's answers, by path. A context is the body of a request, as it is; all else is in the query."""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from compgen.display import one_line
from compgen.errors import CompgenError, LimitError, UsageError
from compgen.gallery.material import prose
from compgen.jit import SMALL
from compgen.laws.forward import LOOPS as FORWARD_LOOPS
from compgen.laws.ppmd_model import LOOPS as PPMD_LOOPS
from compgen.media.layout import Layout
from compgen.models.base import ByteModel
from compgen.pages import STATIC, environment, static
from compgen.playground import answers, game, samples
from compgen.playground.desk import Desk
from compgen.playground.guard import Guard
from compgen.playground.limits import BODY_SECONDS, CHANNELS, CONTEXT, LENGTH, STRIDE
from compgen.playground.offered import missing, model, offers
from compgen.playground.work import Shop

_SCRIPTS = ("play.css", "play.js", "bars.js", "bytes.js", "game.js", "link.js", "media.js", "net.js", "reading.js")
"""Files of ``site/`` that the page loads."""

_SEEDS = 1 << 32
"""Seeds that the page draws from."""

_DIARY = prose().decode()[:3017]
"""What the page begins with: prose that the project makes, cut inside a sentence."""

_COLUMNS = {
    "text": ("gzip", "brotli", "ppmd", "gzip:rule=one-step"),
    "picture": ("png", "gzip", "ppmd"),
    "sound": ("flac", "gzip", "ppmd"),
}
"""The columns that the page begins with. Chosen: how compressors differ; the last one of texts is the paper's rule."""

Answer = Callable[[Request], Awaitable[Response]]


def _told(answer: Answer) -> Answer:
    """Return ``answer`` with an error that says what was wrong as its answer."""

    async def told(request: Request) -> Response:
        try:
            return await answer(request)
        except UsageError as error:
            return JSONResponse({"error": one_line(str(error))}, 400)
        except LimitError as error:
            return JSONResponse({"error": one_line(str(error))}, 503)
        except CompgenError as error:
            return JSONResponse({"error": one_line(str(error))}, 500)

    return told


class Server:
    """What requests share, and the answers to them.

    Args:
        closing: tells whether the process is about to end, so that streams end too.
    """

    def __init__(self, closing: Callable[[], bool] = lambda: False) -> None:
        self._closing = closing
        self._desk = Desk()
        self._shop = Shop()

    def application(self, token: str, hosts: Sequence[str]) -> Guard:
        """Return the server as an ASGI application.

        Args:
            token: the first part of each path.
            hosts: the values of ``Host`` that name this server.
        """
        routes = [
            Route("/", self._page),
            Route("/{name}", self._file),
            Route("/api/next", _told(self._next_bytes), methods=["POST"]),
            Route("/api/surprisals", _told(self._surprisals), methods=["POST"]),
            Route("/api/explain", _told(self._explain), methods=["POST"]),
            Route("/api/sample", _told(self._sample), methods=["POST"]),
            Route("/api/game", _told(self._game), methods=["POST"]),
            Route("/api/guess", _told(self._guess), methods=["POST"]),
        ]
        return Guard(Starlette(routes=routes), token, hosts)

    def warm_up(self) -> None:
        """Load compiled loops, and read the page's first text, so that nobody waits for that."""
        for loops in (SMALL, FORWARD_LOOPS, PPMD_LOOPS):
            loops.wait_no_longer()
        for spec in _COLUMNS["text"]:
            if spec.partition(":")[0] not in missing() and not self._closing():
                answers.next_bytes(self._desk, model(spec, Layout()), _DIARY.encode())

    async def _page(self, request: Request) -> Response:
        offered = [{"name": o.name, "about": o.about, "rules": o.rules} for o in offers()]
        limits = {"context": CONTEXT, "length": LENGTH, "shown": game.SHOWN, "guessed": game.GUESSED}
        told = {"offers": offered, "missing": missing(), "limits": limits, "columns": _COLUMNS, "diary": _DIARY}
        site = environment("compgen.playground")
        return HTMLResponse(site.get_template("play.html").render(told=told))

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in (*STATIC, *_SCRIPTS):
            return Response("There is no such file.\n", 404, media_type="text/plain")
        text = static(name) if name in STATIC else static(name, "compgen.playground")
        return Response(text, media_type=mimetypes.guess_type(name)[0])

    async def _next_bytes(self, request: Request) -> Response:
        chosen, text, _ = await _question(request)
        return await self._json(lambda: answers.next_bytes(self._desk, chosen(), text))

    async def _surprisals(self, request: Request) -> Response:
        chosen, text, _ = await _question(request)
        return await self._json(lambda: answers.surprisals(self._desk, chosen(), text))

    async def _explain(self, request: Request) -> Response:
        chosen, text, _ = await _question(request)
        position = _number(request, "position", 0)
        return await self._json(lambda: answers.explanation(self._desk, chosen(), text, position))

    async def _sample(self, request: Request) -> Response:
        chosen, text, layout = await _question(request)
        length, seed = _number(request, "length", 200), _number(request, "seed", secrets.randbelow(_SEEDS))
        temperature = _decimal(request, "temperature", 1.0)
        built, _ = await self._shop.do(chosen)
        wish = samples.Wish(built, text, layout, length, temperature, seed)

        async def gone() -> bool:
            return self._closing() or await request.is_disconnected()

        return StreamingResponse(samples.stream(self._shop, wish, gone), media_type="text/event-stream")

    async def _game(self, request: Request) -> Response:
        passage, place = _number(request, "passage", 0), _number(request, "place", 0)
        ranks = [_whole("ranks", rank) for rank in request.query_params.get("ranks", "").split(".") if rank]
        return await self._json(lambda: game.standing(self._desk, passage, place, ranks))

    async def _guess(self, request: Request) -> Response:
        passage, place = _number(request, "passage", 0), _number(request, "place", 0)
        return JSONResponse({"right": game.is_right(passage, place, request.query_params.get("letter", ""))})

    async def _json(self, work: Callable[[], dict[str, Any]]) -> Response:
        found, seconds = await self._shop.do(work)
        return JSONResponse(found, headers={"Server-Timing": f"work;dur={1000 * seconds:.2f}"})


async def _question(request: Request) -> tuple[Callable[[], ByteModel], bytes, Layout]:
    """Return what builds the model that a request names, its context, and the layout of that.

    Raises:
        UsageError: the query is wrong. LimitError: the context is too long, or came too slowly.
    """
    spec = request.query_params.get("spec", "gzip")
    stride, channels = _number(request, "stride", 0), _number(request, "channels", 0)
    if stride > STRIDE or channels > CHANNELS:
        raise UsageError(f"rows have {STRIDE} bytes and {CHANNELS} channels at most, not {stride} and {channels}")
    layout = Layout(stride, channels)
    text = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                text += part
                if len(text) > CONTEXT:
                    raise UsageError(f"a context has {CONTEXT} bytes at most; drop the oldest")
    except TimeoutError:
        raise LimitError(f"the context did not come within {BODY_SECONDS:g} seconds; send it again") from None
    return lambda: model(spec, layout), bytes(text), layout


def _number(request: Request, key: str, default: int) -> int:
    """Return a whole number of the query."""
    return _whole(key, request.query_params.get(key, str(default)))


def _whole(key: str, text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 10:
        raise UsageError(f"{key} must be a whole number of ten digits at most, not '{text[:20]}'")
    return int(text)


def _decimal(request: Request, key: str, default: float) -> float:
    """Return a number of the query."""
    text = request.query_params.get(key, str(default))
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{key} must be a number, not '{text[:20]}'") from None
