"""What a request may ask for, and how much is done at once. All of it is checked before any work begins."""

from __future__ import annotations

CONTEXT = 32 << 10
"""Bytes of a context at most. Chosen: as far as gzip looks back; most laws start there in under a second."""

STRIDE, CHANNELS = 1024, 4
"""Bytes of a row of a picture, and bytes of a pixel, at most. Chosen: wider pictures have few rows in a context."""

LENGTH = 4096
"""Bytes of a continuation at most. Chosen: half a second of sound, or a picture of 64 x 64 pixels."""

SECONDS = 60.0
"""Seconds that a continuation may take. Chosen: nobody watches for longer."""

READING = 10.0
"""Seconds that reading a text byte by byte may take. Chosen: xz's one-step rule reads some 20 bytes in that time. A
start, which nothing interrupts, took 8 seconds at most: bz2, calibrated, after 32 KB."""

MEMBERS = 4
"""Compressors in a blend at most. Chosen: each costs as much as one alone."""

WAITING = 64
"""Requests that may wait for a worker. Chosen: ten people with four columns each, and some to spare."""

STREAMS, QUEUED_STREAMS = 2, 40
"""Continuations that are drawn at once, and that may wait. Chosen: more at once would make keystrokes slow, since
Python runs one thread at a time."""

MEMORY = 512 << 20
"""Bytes that open states may take, by the estimates of ``ByteModel.memory``. Chosen: what a browser takes, too."""

CONNECTIONS = 128
"""Connections that are answered at once. Chosen: six for each of twenty browsers."""

BODY_SECONDS = 10.0
"""Seconds in which a request's body must have come. Chosen: it comes from the same machine."""
