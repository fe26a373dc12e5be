"""Files with a JSON object on each line, which grow line by line while a run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from compgen.atomic import replacing
from compgen.errors import CompgenError


def read(path: Path, key: str) -> list[dict[str, Any]]:
    """Return the objects in a file; none if there is no file.

    If the last line is torn, it is left out: the process was killed, or the power failed, while it was written.

    Args:
        path: the file.
        key: a key that every object has.

    Raises:
        CompgenError: another line is not such an object.
    """
    if not path.exists():
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line.decode())
            record[key]
        except (ValueError, TypeError, LookupError):
            if number == len(lines) and not rest:
                break
            raise CompgenError(
                f"'{path}' is damaged: line {number} is no result; remove that line, or choose another --out"
            ) from None
        found.append(record)
    return found


def append(file: BinaryIO, record: dict[str, Any]) -> None:
    """Append an object to an open file, and hand it to the system."""
    file.write(_line(record))
    file.flush()


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a whole file in one step."""
    with replacing(path) as file:
        file.writelines(map(_line, records))


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
