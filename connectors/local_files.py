"""Atomic writes of local files, and file locks that end with the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from connectors.errors import UserError


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[None]:
    """Lock a file for the block; UserError with the message `busy` if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Lock a file for the block; wait while another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        flock(lock, LOCK_EX)
        yield


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader sees all of it or none, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
