"""Plain text for a terminal: escaped where it came from outside, and aligned.

Nothing in text that came from outside may reach the terminal as a command.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

_BETWEEN: Final = "  "


def printable(text: str) -> str:
    """Return the text with every character that is not printable as a backslash escape.

    That is every control character, line breaks and tabs too, every character that hides or turns
    round what stands beside it, such as U+202E, and half of a surrogate pair.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, such as `1 file` and `2,000 files`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def instant(epoch_ms: int) -> str:
    """Return a time in ISO-8601, UTC, to the second."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table of printable text, its first column to the left, others right.

    If it is wider than `width`, each row is a block instead: its first cell, and below it a line
    `name value` for each other cell that is not empty. Nothing is ever cut.
    """
    widths = [max(map(width_of, column)) for column in zip(header, *rows, strict=True)]
    if sum(widths) + len(_BETWEEN) * (len(widths) - 1) <= width:
        return [_line(row, widths) for row in (header, *rows)]
    names, blocks = max(map(width_of, header[1:])), []
    for first, *cells in rows:
        named = zip(header[1:], cells, strict=True)
        blocks += [first, *(f"  {_padded(name, names)}  {cell}" for name, cell in named if cell)]
    return blocks


def width_of(text: str) -> int:
    """Return how many columns of a terminal a printable text takes."""
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "FW")
        for c in text
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    right = (" " * (width - width_of(cell)) + cell for cell, width in others)
    return _BETWEEN.join([_padded(*first), *right]).rstrip()
