"""What a reconciliation is asked to do, parsed from the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from pipeline.decode.timestamps import parse

_RANGE: Final = re.compile(r"([^/@\s]+)/([^/@\s]+)@(\d*)(\.\.(\d*))?")
_ALLOWED: Final = "TOPIC/PARTITION@FIRST..LAST or STREAM/SHARD@FIRST..LAST, either end may be open"


@dataclass(frozen=True, slots=True)
class Span:
    """Positions of one partition or shard, both ends included; None is an open end."""

    place: str
    part: str
    first: int | None
    last: int | None

    @property
    def on_kafka(self) -> bool:
        """A partition is a number, a shard isn't."""
        return self.part.isdecimal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`since` and `until` (exclusive) are epoch milliseconds of arrival; no span means all.

    `values` compares the values of rows, not only their positions. `settle_seconds` is how long to
    look again for what is missing, for files become visible a moment after offsets are committed.
    """

    spans: tuple[Span, ...] = ()
    since: int | None = None
    until: int | None = None
    complete: bool = False
    from_archive: bool = False
    values: bool = True
    settle_seconds: float = 30.0

    @property
    def everything(self) -> bool:
        """Whether all positions of all times are asked for."""
        return not self.spans and self.since is None and self.until is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How the report is given: how many positions of each finding, and where all of them go."""

    show: int = 10
    as_json: bool = False
    out: Path | None = None


def span(text: str) -> Span:
    """`trips/0@100..200`, `trips/0@100..`, `trips/0@..200`, `trips/0@..` or `trips/0@100`."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise UserError(f"--range {text!r} is no range of positions: give {_ALLOWED}")
    place, part, first, rest, last = match.groups()
    if rest is None:
        last = first
    found = Span(place, part, _number(first), _number(last))
    if found.first is not None and found.last is not None and found.last < found.first:
        raise UserError(f"--range {text!r} ends before it begins: give {_ALLOWED}")
    if rest is None and not first:
        raise UserError(f"--range {text!r} names no position: give {_ALLOWED}")
    return found


def spans(texts: Sequence[str]) -> tuple[Span, ...]:
    """Each text as a span."""
    return tuple(map(span, texts))


def instant(option: str, text: str | None) -> int | None:
    """Epoch milliseconds of an ISO-8601 text with offset."""
    if text is None:
        return None
    found = parse(text)
    if not isinstance(found, int):
        raise UserError(f"{option} {text!r}: allowed is {found.allowed}")
    return found


def _number(text: str) -> int | None:
    return int(text) if text else None
