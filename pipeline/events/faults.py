"""Mistakes of one schema file, all of which are reported at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from connectors.errors import Mistakes, UserError

Found = TypeVar("Found")


class Faults:
    """Collects the mistakes; the file's path is in each message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mistakes = Mistakes()

    def __len__(self) -> int:
        return len(self._mistakes.messages)

    def found(self, read: Callable[..., Found], *arguments: Any) -> Found | None:
        """Return what `read` returns, or None and keep the mistake that it raises."""
        with self._mistakes.collected():
            return read(*arguments)
        return None

    def fault(self, where: str, value: object, allowed: str) -> NoReturn:
        """Raise the mistake."""
        raise UserError(f"{self._path}: {where}: {shown(value)} isn't allowed; allowed: {allowed}")

    def refuse_unknown(self, where: str, mapping: Mapping[str, Any], known: frozenset[str]) -> None:
        """Keep a mistake for each property that is nearly a known one.

        Avro allows properties of one's own.
        """
        for key in mapping:
            if key not in known and difflib.get_close_matches(key, known, 1, 0.75):
                allowed = f"known ones{did_you_mean(key, known)}"
                self.found(self.fault, f"{where}: property", key, allowed)

    def report(self) -> None:
        """Raise all mistakes, if there are any."""
        self._mistakes.report()


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return " (did you mean x?)" with the known text that is closest, or an empty string."""
    close = difflib.get_close_matches(text[:64], sorted(known), 1, 0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: object) -> str:
    """Return the value as JSON of at most 80 characters."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."
