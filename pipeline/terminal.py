"""Text that came from outside, on a terminal: nothing in it reaches the terminal as a command."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with every character that is not printable as a backslash escape.

    That is every control character, line breaks and tabs too, every character that hides or turns
    round what stands beside it, such as U+202E, and half of a surrogate pair.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
