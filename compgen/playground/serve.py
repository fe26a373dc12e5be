"""The server as a process: a socket of this machine alone, a token that nobody can guess, and a clean end."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable

import uvicorn

from compgen.errors import CompgenError
from compgen.playground.app import Server
from compgen.playground.limits import CONNECTIONS

_ADDRESS = "127.0.0.1"
_GRACE = 1  # seconds that open streams get at the end


def serve(port: int, tell: Callable[[str], None]) -> None:
    """Serve the page until an interrupt.

    Args:
        port: of this machine; 0 for any that is free.
        tell: called with the address once the server listens.

    Raises:
        CompgenError: the port cannot be had.
    """
    with contextlib.closing(_listening(port)) as listening:
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(24)
        hosts = [f"{_ADDRESS}:{port}", f"localhost:{port}"]
        process: uvicorn.Server
        server = Server(closing=lambda: process.should_exit)
        app = server.application(token, hosts)
        config = uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", loop="asyncio", log_config=None, log_level="critical",
            access_log=False, server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=_GRACE,
        )  # fmt: skip
        process = uvicorn.Server(config)
        threading.Thread(target=server.warm_up, name="playground-warm-up", daemon=True).start()
        tell(f"http://{_ADDRESS}:{port}/{token}/")
        process.run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_ADDRESS, port))
        listening.listen(CONNECTIONS)
    except OSError as error:
        listening.close()
        raise CompgenError(f"port {port} cannot be used ({error.strerror}); give another --port, or none") from None
    return listening
