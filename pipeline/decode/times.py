"""The timestamps of a batch's events: parsed as columns, brought to their canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np

from pipeline.decode import columns, timestamps
from pipeline.decode.batch import Group
from pipeline.decode.bounds import time_range
from pipeline.decode.columns import Array
from pipeline.decode.forms import form_of
from pipeline.decode.leaf_columns import read_counts
from pipeline.decode.structs import attribute
from pipeline.events.instants import BadTimestamp
from pipeline.events.model import Field

_EPOCH_TEXT: Final = "1970-01-01T00:00:00.000Z"


class _Span(NamedTuple):
    """The texts of one field of a group, and which of them stand for null."""

    group: Group
    field: Field
    texts: list[str]
    missing: list[int]


def read_times(groups: Sequence[Group], now: int) -> list[int]:
    """Fill the groups' times, make their texts canonical; return the rows with a bad timestamp.

    All texts in milliseconds of a batch are parsed in one array: a small array costs as much as a
    large one.
    """
    spans: list[_Span] = []
    bad: list[int] = []
    for group in groups:
        for field in group.shape.timestamps:
            given = columns.values(group.members[field.name], field)
            if field.wire == "iso-8601" and field.unit == "ms":
                spans.append(_span(group, field, given))
                continue
            form = form_of(field) if field.wire == "iso-8601" else None
            counts, good, missing, canonical = read_counts(field, form, given)
            if canonical:
                _put_back(group, field, given, canonical)
            bad += _set(group, field, counts, good, missing, now)
    millis, good = timestamps.parse_canonical([text for span in spans for text in span.texts])
    end = 0
    for span in spans:
        start, end = end, end + len(span.texts)
        of_span = millis[start:end], good[start:end]
        _again(span, *of_span)
        bad += _set(span.group, span.field, *of_span, span.missing, now)
    return bad


def _span(group: Group, field: Field, given: list[Any]) -> _Span:
    texts = _canonical_texts(group, field, given)
    missing: list[int] = []
    if field.nullable:
        missing = [at for at, text in enumerate(texts) if text is None]
    for at in missing:
        texts[at] = _EPOCH_TEXT
    return _Span(group, field, cast("list[str]", texts), missing)


def _canonical_texts(group: Group, field: Field, given: list[Any]) -> list[str | None]:
    length, canonical = timestamps.CANONICAL_LENGTH, timestamps.canonical
    texts: list[str | None] = given
    if not field.nullable and set(map(len, cast("list[str]", texts))) == {length}:
        return texts
    result = [text if text is None or len(text) == length else canonical(text) for text in texts]
    _put_back(group, field, texts, result)
    return result


def _again(span: _Span, millis: Array, good: Array) -> None:
    """Parse what the columns can't: instants outside of the years 1970 to 2199."""
    for at in np.flatnonzero(~good).tolist():
        again = timestamps.parse(span.texts[at])
        if not isinstance(again, BadTimestamp):
            millis[at], good[at] = again, True


def _put_back(group: Group, field: Field, before: Sequence[Any], after: Sequence[Any]) -> None:
    name = attribute(field.name)
    for event, original, text in zip(group.events, before, after, strict=True):
        if text is not original and text is not None:
            setattr(event, name, text)


def _set(
    group: Group, field: Field, counts: Array, good: Array, missing: Sequence[int], now: int
) -> list[int]:
    """Keep a field's times; return the rows of those that are bad or out of bounds."""
    least, most = time_range(field, now)
    good &= (counts >= least) & (counts <= most)
    times = counts.view(f"M8[{field.unit}]")
    if missing:
        good[missing] = True
        times[missing] = np.datetime64("NaT")
    group.times[field.name] = times
    return [] if good.all() else group.rows[~good].tolist()
