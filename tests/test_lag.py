"""Percentiles from counters of buckets."""

from __future__ import annotations

from pipeline.lag import lag_of


def counters(lag_ms: float, **buckets: int) -> dict[str, float]:
    return {"decode.lag_ms": lag_ms, **{f"decode.{name}": n for name, n in buckets.items()}}


def test_percentiles_are_interpolated_within_a_bucket() -> None:
    after = counters(7_500, lag_le_50=0, lag_le_100=100, lag_le_200=0, lag_le_inf=0)
    assert lag_of({}, after, "decode") == {"mean": 75, "p50": 75, "p99": 100, "max": 100}


def test_only_what_was_counted_in_between_counts() -> None:
    before = counters(7_500, lag_le_50=0, lag_le_100=100, lag_le_inf=0)
    after = counters(7_540, lag_le_50=1, lag_le_100=100, lag_le_inf=0)
    assert lag_of(before, after, "decode")["mean"] == 40
    assert lag_of(before, before, "decode") == {}


def test_the_last_bucket_ends_at_twice_the_largest_bound() -> None:
    after = counters(500, lag_le_50=0, lag_le_100=0, lag_le_inf=1)
    assert lag_of({}, after, "decode")["max"] == 200


def test_a_step_without_counters_has_no_lag() -> None:
    assert lag_of({}, {"index.in": 3}, "decode") == {}
