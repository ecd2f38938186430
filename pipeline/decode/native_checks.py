"""What the fast path in Rust leaves to Python: rules of texts, for each distinct text once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.decode.columns import Array
from pipeline.events.folders import text_fields, unfit
from pipeline.events.identity import room_for_texts
from pipeline.events.model import EventType, Field, PartitionField

Check = Callable[[Mapping[str, pa.Array], Array], None]
"""Marks the rows, of columns by field, that are for another decoder."""


def checks_of(
    event_type: EventType, fields: Sequence[Field], tag: str, tag_text: str
) -> tuple[Check, ...] | None:
    """Return the checks of an event type's texts; None if its tag alone makes an event a reject."""
    checks: list[Check] = []
    for field in fields:
        if field.kind == "string" and field.regex is not None:
            checks.append(_each(field.name, _unlike(re.compile(field.regex))))
    for folder in text_fields(event_type):
        if folder.source == tag:
            if unfit(folder, tag_text):
                return None
            continue
        checks.append(_each(folder.source, partial(_names_none, folder)))
    texts = [f.name for f in fields if f.name in event_type.id and f.kind == "string"]
    room = room_for_texts(event_type, {tag: tag_text} if tag else {})
    if room < 0:
        return None
    if texts:
        # An escaped character has three bytes where it had one.
        checks.append(_long_ids(texts, room // 3 if len(event_type.id) > 1 else room))
    return tuple(checks)


def _unlike(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.search(text) is None


def _names_none(folder: PartitionField, text: str) -> bool:
    return bool(unfit(folder, text))


def _each(name: str, is_refused: Callable[[str], bool]) -> Check:
    """Return a check of each distinct text of a column; null passes."""

    def check(columns: Mapping[str, pa.Array], refused: Array) -> None:
        column = columns[name]
        texts = column.unique().to_pylist()
        bad = [text for text in texts if text is not None and is_refused(text)]
        if bad:
            is_bad = pc.is_in(column, value_set=pa.array(bad, pa.string()))
            refused |= is_bad.to_numpy(zero_copy_only=False)

    return check


def _long_ids(texts: Sequence[str], room: int) -> Check:
    """Return a check for ids that may have more bytes than OpenSearch accepts."""

    def check(columns: Mapping[str, pa.Array], refused: Array) -> None:
        lengths = np.sum(
            [pc.binary_length(columns[name]).to_numpy() for name in texts], axis=0, dtype=np.int64
        )
        refused |= lengths > room

    return check
