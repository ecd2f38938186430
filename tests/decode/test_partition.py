"""Where in the lake an event belongs: literals at the edges, one form for all, the twin agrees."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.partition import partition, partition_numbers, partition_of
from pipeline.decode.timestamps import EARLIEST, parse

_PATH = re.compile(
    r"pickup_location=[0-9]{3}/year=(?:20[0-9]{2}|21[0-9]{2})/month=(?:0[1-9]|1[0-2])"
)
_PLACES = st.integers(0, 999)
_TIMES = st.integers(EARLIEST, 7_258_118_399_999)


@pytest.mark.parametrize(
    ("place", "text", "path"),
    [
        (41, "2018-01-01T00:21:05.000Z", "pickup_location=041/year=2018/month=01"),
        (161, "2017-12-31T23:59:59.999Z", "pickup_location=161/year=2017/month=12"),
        (161, "2018-01-01T00:00:00.000Z", "pickup_location=161/year=2018/month=01"),
        (1, "2018-02-01T04:30:00.000Z", "pickup_location=001/year=2018/month=02"),
        (1, "2018-01-31T23:30:00.000-05:00", "pickup_location=001/year=2018/month=02"),
        (1, "2018-02-01T00:30:00.000+02:00", "pickup_location=001/year=2018/month=01"),
        (265, "2020-02-29T23:59:59.999Z", "pickup_location=265/year=2020/month=02"),
        (265, "2020-03-01T00:00:00.000Z", "pickup_location=265/year=2020/month=03"),
        (0, "2009-01-01T00:00:00.000Z", "pickup_location=000/year=2009/month=01"),
        (999, "2019-11-30T23:59:59.999Z", "pickup_location=999/year=2019/month=11"),
        (999, "2019-12-01T00:00:00.000Z", "pickup_location=999/year=2019/month=12"),
    ],
)
def test_path(place: int, text: str, path: str) -> None:
    millis = parse(text)
    assert isinstance(millis, int)
    assert partition(place, millis).path() == path


@given(_PLACES, _TIMES)
def test_a_path_has_one_form(place: int, millis: int) -> None:
    assert _PATH.fullmatch(partition(place, millis).path())


@given(st.lists(st.tuples(_PLACES, _TIMES)))
def test_columns_agree_with_the_rule(rows: list[tuple[int, int]]) -> None:
    places = np.array([place for place, _ in rows], np.int64)
    times = np.array([millis for _, millis in rows], np.int64)
    numbers = partition_numbers(places, times)
    expected = [partition(place, millis) for place, millis in rows]
    assert [partition_of(number) for number in numbers.tolist()] == expected
    assert len(set(numbers.tolist())) == len(set(expected))
    assert all(0 <= number < 1000 * 230 * 12 for number in numbers.tolist())


@pytest.mark.parametrize("place", [-1, 1000])
def test_no_partition_beyond_three_digits(place: int) -> None:
    with pytest.raises(ValueError, match="isn't within"):
        partition(place, 0)
