"""ISO-8601 text <-> epoch milliseconds: exact both ways, and the column says what the rule says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.timestamps import (
    CANONICAL_LENGTH,
    EPOCH,
    MILLISECOND,
    canonical,
    parse,
    parse_canonical,
    text,
)

_LAST = 7_258_118_399_999
_MOMENTS = st.integers(86_400_000, _LAST - 86_400_000).map(lambda at: EPOCH + at * MILLISECOND)
_OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@given(_MOMENTS, _OFFSETS)
def test_any_offset_is_the_same_instant(moment: datetime, offset: timezone) -> None:
    millis = (moment - EPOCH) // MILLISECOND
    assert parse(moment.astimezone(offset).isoformat()) == millis
    assert parse(text(millis)) == millis


@given(st.lists(st.integers(0, _LAST)))
def test_the_column_says_what_the_rule_says(times: list[int]) -> None:
    millis, good = parse_canonical([text(time) for time in times])
    assert good.all() and millis.tolist() == times


@given(
    st.lists(
        st.text("0123456789-T:.Z ", min_size=24, max_size=24) | st.text(min_size=24, max_size=24)
    )
)
def test_what_the_column_refuses_is_no_canonical_text(texts: list[str]) -> None:
    millis, good = parse_canonical(texts)
    for given_text, at, fine in zip(texts, millis.tolist(), good.tolist(), strict=True):
        assert fine == (isinstance(parse(given_text), int) and text(at) == given_text)


@given(st.integers(0, _LAST), st.integers(0, 23), st.sampled_from("0123456789-T:.Z+ \u0663x"))
def test_one_character_changed(millis: int, place: int, character: str) -> None:
    changed = text(millis)[:place] + character + text(millis)[place + 1 :]
    (at,), (fine,) = parse_canonical([changed])
    expected = parse(changed)
    within = isinstance(expected, int) and 0 <= expected <= _LAST
    assert bool(fine) == within
    assert not within or int(at) == expected


@pytest.mark.parametrize(
    ("given_text", "reason"),
    [
        ("2018-01-01", "invalid_timestamp"),
        ("2018-01-01T00:00:00", "invalid_timestamp"),
        ("2018-01-01T00:00:00z", "invalid_timestamp"),
        ("2018-01-01T00:00:00.Z", "invalid_timestamp"),
        ("2018-01-01T00:00:00,5Z", "invalid_timestamp"),
        ("2018-01-01T00:00:00+0100", "invalid_timestamp"),
        ("2018-01-01T00:00:00+01:60", "invalid_timestamp"),
        ("2018-01-01T00:00:00+24:00", "invalid_timestamp"),
        ("+2018-01-01T00:00:00Z", "invalid_timestamp"),
        ("0000-01-01T00:00:00Z", "invalid_timestamp"),
        ("２018-01-01T00:00:00Z", "invalid_timestamp"),
        ("2018-01-01T00:00:00Z\n", "invalid_timestamp"),
        ("2018-01-01T00:00:00.0001Z", "timestamp_precision"),
        ("2018-01-01T00:00:00.0000000000001Z", "timestamp_precision"),
    ],
)
def test_refused(given_text: str, reason: str) -> None:
    found = parse(given_text)
    assert not isinstance(found, int) and found.reason == reason
    assert canonical(given_text).isspace() or len(given_text) in (20, CANONICAL_LENGTH)


def test_month_lengths() -> None:
    texts = [
        f"{y}-{m:02d}-{d:02d}T00:00:00.000Z"
        for y in (2016, 2018, 2100)
        for m in range(1, 13)
        for d in range(28, 33)
    ]
    _, good = parse_canonical(texts)
    assert [isinstance(parse(each), int) for each in texts] == good.tolist()


@given(_MOMENTS, _OFFSETS)
def test_canonical_text_of_any_form(moment: datetime, offset: timezone) -> None:
    millis = (moment - EPOCH) // MILLISECOND
    assert canonical(moment.astimezone(offset).isoformat()) == text(millis)
