"""Finds records that msgspec has accepted and that still have to be looked at closely: cheaply.

msgspec keeps the last of duplicate keys. In an event without a backslash every quotation mark
belongs to a key or a text value, so a key given twice shows as more of them than the struct has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
from msgspec import Struct, UnsetType

from pipeline.decode.columns import Array
from pipeline.decode.structs import Shape

_CHUNK: Final = 128
_QUOTES: Final[Mapping[type, int]] = {UnsetType: 0, str: 4}
"""Quotation marks of a member that may be there, by the type of its value; 2 for all others."""

_BACKSLASH, _QUOTE, _DELETE = b"\\", b'"', b"\x7f"
_C1_CONTROL: Final = re.compile(rb"\xc2[\x80-\x9f]")


def expected_quotes(events: Sequence[Struct], shape: Shape) -> int | Array:
    """How many quotation marks each event's JSON has, if no key is there twice."""
    expected: int | Array = shape.quotes
    for name in shape.uncertain:
        kinds = list(map(type, map(attrgetter(name), events)))
        if set(kinds) == {UnsetType}:
            continue
        expected = expected + np.array([_QUOTES.get(kind, 2) for kind in kinds], np.int32)
    return expected


def odd_rows(raws: Sequence[bytes], quotes: Array, max_record_bytes: int) -> list[int]:
    """The rows with a backslash, a control character, too many bytes or other than `quotes`.

    Many records are looked at as one; only where that is odd, the halves are looked at.
    """
    odd: list[int] = []
    pending = [(at, min(at + _CHUNK, len(raws))) for at in range(0, len(raws), _CHUNK)]
    while pending:
        start, end = pending.pop()
        if not _is_odd(b"".join(raws[start:end]), int(quotes[start:end].sum()), max_record_bytes):
            continue
        if end - start == 1:
            odd.append(start)
            continue
        middle = (start + end) // 2
        pending += [(start, middle), (middle, end)]
    return odd


def _is_odd(raw: bytes, quotes: int, max_record_bytes: int) -> bool:
    if len(raw) > max_record_bytes or _BACKSLASH in raw or _DELETE in raw:
        return True
    if int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord(_QUOTE))) != quotes:
        return True
    return not raw.isascii() and _C1_CONTROL.search(raw) is not None
