"""A picture of a job that fits a terminal: what a small one has no room for is said to be there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.ops.top.view import HEADER, REJECTS_HEADER, Screen
from pipeline.terminal import table, width_of

_ENLARGE: Final = "enlarge the terminal, or --once"
_CUT: Final = "…"
_LINES_OF_A_TEXT: Final = 2
_DISPENSABLE: Final = ("files", "rejected/s", "out", "in")
"""Columns that a narrow terminal does without, the first of them first."""


def fitted(screen: Screen, width: int, height: int) -> list[str]:
    """Return a picture of at most so many lines, none of them wider, whatever Flink's texts are.

    Rejects are cut first, from the rarest reason on, and then the table of the steps. A line says
    how much was cut. The job's state, restarts, checkpoint, lag and rates are cut last.
    """
    head, notes = _wrapped(screen.head(), width), _wrapped(screen.notes(), width)
    steps = _steps(screen.rows(), width, height)
    rejected = screen.reject_rows()
    for gap in ([""], []):
        upper = _joined(gap, head, steps, notes)
        room = height - len(upper) - len(gap)
        if not rejected and len(upper) <= height:
            return upper
        lower = _rejects(rejected, width, room)
        if not lower and not gap and room > 0:
            lower = _wrapped([f"rejects for {len(rejected)} reasons: {_ENLARGE}"], width)[:room]
        if lower:
            return _joined(gap, upper, lower)
    room = max(0, height - len(head) - len(notes) - 1)
    more = len(steps) - room + (len(rejected) + 1 if rejected else 0)
    told = _wrapped([f"{_CUT} {more} more lines: {_ENLARGE}"], width)[:1]
    return [*head, *steps[:room], *told, *notes][:height]


def wrapped(text: str, width: int) -> list[str]:
    """Return printable text in two lines at most, its rest cut off with a sign of that."""
    lines, used = [""], 0
    for character in text:
        used += width_of(character)
        if used > width:
            lines.append("")
            used = width_of(character)
        lines[-1] += character
    kept = lines[:_LINES_OF_A_TEXT]
    if len(lines) > len(kept):
        while kept[-1] and width_of(kept[-1] + _CUT) > width:
            kept[-1] = kept[-1][:-1]
        kept[-1] += _CUT
    return kept


def _steps(rows: Sequence[tuple[str, ...]], width: int, height: int) -> list[str]:
    """Return the table of the steps; without some columns where blocks would be too high."""
    lines = _wrapped(table(HEADER, rows, width), width) if rows else []
    if len(lines) <= max(len(rows) + 1, height // 2):
        return lines
    for count in range(1, len(_DISPENSABLE) + 1):
        dropped = _DISPENSABLE[:count]
        kept = [at for at, column in enumerate(HEADER) if column not in dropped]
        header, *cells = ([row[at] for at in kept] for row in (HEADER, *rows))
        narrow = table(header, cells, width)
        if len(narrow) == len(rows) + 1:
            return [*narrow, *wrapped(f"{_CUT} without {', '.join(dropped)}: {_ENLARGE}", width)]
    return lines


def _rejects(rows: Sequence[tuple[str, ...]], width: int, room: int) -> list[str]:
    """Return the table of as many reasons as there is room for; none if there is for no reason."""
    for shown in range(len(rows), 0, -1):
        lines = table(REJECTS_HEADER, rows[:shown], width)
        if others := len(rows) - shown:
            lines.append(f"{_CUT} and {others} other reason{'s' * (others > 1)}: {_ENLARGE}")
        if len(lines := _wrapped(lines, width)) <= room:
            return lines
    return []


def _wrapped(texts: Iterable[str], width: int) -> list[str]:
    return [line for text in texts for line in wrapped(text, width)]


def _joined(gap: Sequence[str], *parts: Sequence[str]) -> list[str]:
    first, *others = [part for part in parts if part]
    return [*first, *(line for part in others for line in (*gap, *part))]
