"""How often a tap asks a system that must be asked again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PAUSE_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 0.2
_SHARE: Final = 4


class Pace:
    """Asks once a second; after a request that took t seconds, waits 4 t, to spare others."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def is_due(self) -> bool:
        """Return whether to ask again; wait up to 0.2 s if not."""
        ahead = self._due - time.monotonic()
        if ahead > 0:
            time.sleep(min(ahead, _WAIT_SECONDS))
        return ahead <= 0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Measure how long the block takes."""
        started = time.monotonic()
        yield
        ended = time.monotonic()
        self._due = ended + max(_PAUSE_SECONDS, _SHARE * (ended - started))
