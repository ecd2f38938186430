"""Write HTML and SVG so that no text can become markup, and numbers for people."""

from __future__ import annotations

from html import escape
from typing import Final

UNKNOWN: Final = "unknown"
_VOID: Final = frozenset({"meta", "wbr"})


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Return an element; text and attributes are escaped, None is left out.

    In an attribute's name `_` is written as `-`, and dropped at the end: class_, text_anchor.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Return parts one after the other; what isn't Markup is escaped."""
    parts = (child for child in children if child is not None)
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def sign(ok: bool, *, x: float = 0, y: float = 0) -> Markup:
    """Return a tick or a cross, which tells by its shape what its colour says."""
    drawn = element("path", d="M2 7.5 5.5 11 12 3.5" if ok else "M3 3 11 11 M11 3 3 11")
    style = "sign good" if ok else "sign bad"
    return element("svg", drawn, class_=style, x=x, y=y, width=14, height=14, aria_hidden="true")


def breakable(path: str) -> Markup:
    """Return a path that may be broken after each slash."""
    first, *others = path.split("/")
    return join(first, *(join("/", element("wbr"), part) for part in others))


def count(number: float | None) -> str:
    """Return a number with thousands separated, or that it is unknown."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def size(number: float | None) -> str:
    """Return a number of bytes in the unit that suits it."""
    if number is None:
        return UNKNOWN
    units = iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while number >= 1024 and unit != "TiB":
        number, unit = number / 1024, next(units, "TiB")
    is_whole = unit == "B" or number >= 100 or number == int(number)
    return f"{number:,.0f} {unit}" if is_whole else f"{number:,.1f} {unit}"


def duration(milliseconds: float | None) -> str:
    """Return a time in milliseconds, or from a second on in seconds."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:
        return f"{milliseconds:,.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:,.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:,.1f} s"


def shortened(text: str, most: int) -> str:
    """Return a text, or the beginning of one that is longer, with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _number(value: str | float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
