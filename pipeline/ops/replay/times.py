"""Timestamps as texts -> epoch milliseconds, by the column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.timestamps import (
    CANONICAL_LENGTH,
    EPOCH,
    MILLISECOND,
    canonical,
    parse_canonical,
)
from pipeline.ops.replay.rows import Times

Format = Literal["iso", "sql"]

ALLOWED: Final = {
    "iso": "no ISO-8601 instant with an offset or Z, such as 2018-01-01T00:21:05.000Z",
    "sql": "no instant such as 2018-01-01 00:21:05 or 2018-01-01 00:21:05.000",
}
"""What to say of a text that is no instant, by the format."""

_SQL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")
_SQL_LENGTH: Final = len("2018-01-01 00:21:05")


def parse(texts: Sequence[str], kind: Format) -> tuple[Times, NDArray[np.bool_]]:
    """The instants, and which texts are one; what is finer than a millisecond is cut off."""
    shaped, slow = _SHAPES[kind]
    if kind == "iso" and set(map(len, texts)) <= {CANONICAL_LENGTH}:
        millis, good = parse_canonical(texts)
    else:
        millis, good = parse_canonical([shaped(text) for text in texts])
    for place in np.flatnonzero(~good):
        found = slow(texts[place])
        if found is not None:
            millis[place], good[place] = found, True
    return millis, good


def _iso(text: str) -> int | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else (found - EPOCH) // MILLISECOND


def _sql(text: str) -> int | None:
    if not _SQL.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // MILLISECOND
    except ValueError:
        return None


def _sql_shape(text: str) -> str:
    """The text as ISO-8601 has it; blanks where it is something else."""
    if len(text) == _SQL_LENGTH and text[10] == " ":
        return f"{text[:10]}T{text[11:]}.000Z"
    if len(text) == _SQL_LENGTH + 4 and text[10] == " ":
        return f"{text[:10]}T{text[11:]}Z"
    return " " * CANONICAL_LENGTH


_SHAPES: Final[dict[str, tuple[Callable[[str], str], Callable[[str], int | None]]]] = {
    "iso": (canonical, _iso),
    "sql": (_sql_shape, _sql),
}
