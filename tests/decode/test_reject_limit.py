"""The limit of rejects: a sliding window, judged only when it holds enough."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.reject_limit import RejectLimit, RejectLimitExceeded


class Clock:
    """A clock that is set."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def limit(
    clock: Clock, ratio: float = 0.1, seconds: float = 60, records: int = 1000
) -> RejectLimit:
    return RejectLimit(ratio, seconds=seconds, records=records, clock=clock)


def test_the_message_says_what_happened_and_what_to_do() -> None:
    found = limit(Clock())
    found.add(600, {"wrong_type": 1, "not_finite": 2, "missing_field": 50})
    with pytest.raises(RejectLimitExceeded) as raised:
        found.add(600, {"missing_field": 300, "unknown_field": 17, "wrong_type": 9})
    assert str(raised.value) == (
        "decode rejected 379 of 1200 records in the last 60 seconds on this task: 0.3158,"
        " allowed: 0.1 (decode.reject_limit_ratio). Most frequent: missing_field 350,"
        " unknown_field 17, wrong_type 10. What to do: fix the sender, or raise"
        " decode.reject_limit_ratio; nothing is lost: the job stands at its last checkpoint."
    )


@pytest.mark.parametrize(("ratio", "most"), [(0.1, 100), (0.29, 290), (0.0005, 0), (1, 1000)])
def test_the_ratio_itself_is_allowed(ratio: float, most: int) -> None:
    limit(Clock(), ratio).add(1000, {"wrong_type": most})
    if ratio < 1:
        with pytest.raises(RejectLimitExceeded):
            limit(Clock(), ratio).add(1000, {"wrong_type": most, "not_finite": 1})


def test_a_few_records_are_not_judged() -> None:
    found = limit(Clock())
    found.add(0, {})
    found.add(999, {"wrong_type": 999})
    with pytest.raises(RejectLimitExceeded):
        found.add(1, {})


def test_rejects_of_different_batches_add_up_and_good_ones_make_up_for_them() -> None:
    found = limit(Clock())
    for _ in range(100):
        found.add(90, {})
        found.add(10, {"wrong_type": 10})
    with pytest.raises(RejectLimitExceeded):
        found.add(1, {"wrong_type": 1})


def test_what_is_older_than_the_window_is_forgotten_and_no_longer_named() -> None:
    clock = Clock()
    found = limit(clock)
    found.add(900, {"not_finite": 900})
    clock.now += 60
    found.add(1000, {"wrong_type": 100})
    clock.now += 30
    with pytest.raises(RejectLimitExceeded, match=r"201 of 1101 .* frequent: wrong_type 201\. "):
        found.add(101, {"wrong_type": 101})


@pytest.mark.parametrize("seconds", [0.5, 1, 60, 86_400])
def test_a_window_of_any_length_keeps_a_bounded_number_of_slots(seconds: float) -> None:
    clock = Clock()
    found = limit(clock, seconds=seconds)
    for _ in range(1000):
        clock.now += seconds / 200
        found.add(10, {"wrong_type": 1})
    assert len(found._slots) <= 60
    assert 1900 <= sum(slot.records for slot in found._slots) <= 2000


_BATCHES = st.lists(
    st.tuples(st.floats(0, 20), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60
)


@given(_BATCHES, st.sampled_from([0.01, 0.1, 0.5, 1]), st.integers(1, 200))
def test_it_says_what_a_plain_count_of_the_window_says(
    batches: list[tuple[float, int, int]], ratio: float, least: int
) -> None:
    clock = Clock(0.0)
    found = limit(clock, ratio, records=least)
    seen: list[tuple[int, int, int]] = []
    for wait, good, bad in batches:
        clock.now += wait
        seen.append((int(clock.now), good + bad, bad))
        inside = [batch for batch in seen if batch[0] > int(clock.now) - 60]
        records, rejected = (sum(batch[at] for batch in inside) for at in (1, 2))
        over = records >= least and rejected / records > ratio
        try:
            found.add(good + bad, Counter(wrong_type=bad))
        except RejectLimitExceeded:
            assert over
            return
        assert not over
