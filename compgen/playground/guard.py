"""Who may ask: a browser of this machine, on a page of this server, that knows the token in its address.

A page of another origin can make a browser send requests here, and can make its own name point here. So the ``Host``
must be this server's, an ``Origin`` must be this server's too, and the path begins with a token that no other page
knows. Answers forbid everything that the page does not need: other origins, frames, scripts that are no file of ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets through what may ask, without the token in its path, and refuses all else.

    Args:
        app: what answers.
        token: the first part of each path.
        hosts: the values of ``Host`` that name this server.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Sequence[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["type"] != "http":
            return
        refusal = self._refusal(Headers(scope=scope), scope["method"])
        if refusal is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, send_with_headers)
            return
        first, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not secrets.compare_digest(first.encode(), self._token) or not slash:
            text = "Nothing is here. Open the whole address that cgn playground printed, with its token.\n"
            await PlainTextResponse(text, 404)(scope, receive, send_with_headers)
            return
        await self._app({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send_with_headers)

    def _refusal(self, headers: Headers, method: str) -> str | None:
        """Return why nobody may ask this, or None if somebody may."""
        if headers.getlist("host") != [headers.get("host", "")] or headers["host"] not in self._hosts:
            return "This server answers to its own address alone: the Host is another.\n"
        origins = [f"http://{host}" for host in self._hosts]
        if any(origin not in origins for origin in headers.getlist("origin")):
            return "This server answers its own page alone: the Origin is another.\n"
        if method != "GET" and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "This server answers its own page alone: the request comes from another site.\n"
        return None
