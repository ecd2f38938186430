"""Rows are sorted by several numbers as numpy's lexsort does it, whatever their spans are."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.collect.sorted_rows import _sorted

_LEAST, _MOST = -(2**63), 2**63 - 1
_SMALL = st.integers(-3, 3)
_ANY = st.integers(_LEAST, _MOST)
_COLUMN = st.sampled_from([_SMALL, _ANY, st.sampled_from([_LEAST, _MOST, 0, 2**31, -(2**31)])])


@given(st.data(), st.integers(0, 9), st.lists(_COLUMN, min_size=1, max_size=4))
def test_rows_are_sorted_as_lexsort_does(
    data: st.DataObject, rows: int, kinds: list[st.SearchStrategy[int]]
) -> None:
    columns = [data.draw(st.lists(kind, min_size=rows, max_size=rows)) for kind in kinds]
    keys = [np.array(column, np.int64) for column in columns]
    assert _sorted(keys).tolist() == np.lexsort(keys[::-1]).tolist()


@example(2**30, 2**30)
@given(st.integers(1, 2**62), st.integers(1, 2**62))
def test_large_spans_do_not_overflow(one: int, other: int) -> None:
    keys = [np.array([104, 103], np.uint16), np.array([0, one]), np.array([0, other])]
    assert _sorted(keys).tolist() == [1, 0]
