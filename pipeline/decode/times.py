"""The timestamps of a batch's events: parsed as columns, brought to their canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np

from pipeline.decode import columns, leaves, timestamps
from pipeline.decode.batch import Group
from pipeline.decode.bounds import time_range, wire_factor
from pipeline.decode.columns import Array
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
            if field.wire != "iso-8601":
                bad += _set(group, field, *_numbers(field, given), now)
            elif field.unit == "ms":
                spans.append(_span(group, field, given))
            else:
                bad += _set(group, field, *_one_by_one(group, field, given), now)
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


def _numbers(field: Field, given: list[Any]) -> tuple[Array, Array, list[int]]:
    missing = [at for at, value in enumerate(given) if value is None] if field.nullable else []
    counts = np.array([0 if value is None else value for value in given], np.int64)
    return counts * wire_factor(field), np.ones(len(given), np.bool_), missing


def _one_by_one(group: Group, field: Field, given: list[Any]) -> tuple[Array, Array, list[int]]:
    counts, good = np.zeros(len(given), np.int64), np.ones(len(given), np.bool_)
    (least, most), back = _HARD, leaves.wire_of_time(field)
    texts = list(given)
    for at, value in enumerate(given):
        count = None if value is None else leaves.of_time(field, value)
        if isinstance(count, BadTimestamp) or (count is not None and not least <= count <= most):
            good[at] = False
        elif count is not None:
            counts[at], texts[at] = count, back(count)
    _put_back(group, field, given, texts)
    return counts, good, [at for at, value in enumerate(given) if value is None]


_HARD: Final = (-(2**63) + 1, 2**63 - 1)


def _put_back(group: Group, field: Field, before: Sequence[Any], after: Sequence[Any]) -> None:
    name = attribute(field.name)
    for event, original, text in zip(group.events, before, after, strict=True):
        if text is not original:
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
