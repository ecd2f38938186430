"""One command at a time: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from connectors.errors import UserError


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock of a file; UserError with the text `busy` when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the lock of a file, after whoever has it now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        flock(lock, LOCK_EX)
        yield
