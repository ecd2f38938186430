"""Throughput and lag from readings of counters."""

from __future__ import annotations

from dev.demo.series import Reading, Series, is_new, samples


def reading(seconds: float, decoded: float, lags: float = 0, bucket: str = "500") -> Reading:
    counters = {"decode.in": decoded, "decode.lag_ms": lags, f"decode.lag_le_{bucket}": decoded}
    return Reading(seconds, counters)


def test_rates_and_lag_are_those_between_two_readings() -> None:
    first, second = samples(
        [reading(0, 0), reading(2, 100, 45_000), reading(4, 100, 45_000)], "decode"
    )
    assert (first.seconds, first.decoded, first.lag_mean) == (2, 50.0, 450)
    assert first.lag_p99 is not None and 400 < first.lag_p99 <= 500
    assert (second.decoded, second.lag_mean, second.lag_p99) == (0.0, None, None)
    assert first.indexed is None


def test_above_ten_seconds_there_is_no_percentile() -> None:
    [sample] = samples([reading(0, 0, 0, "30000"), reading(2, 10, 200_000, "30000")], "decode")
    assert (sample.lag_mean, sample.lag_p99) == (20_000, None)


def test_a_job_that_started_anew_or_does_not_answer_is_unknown() -> None:
    anew, silent = samples([reading(0, 900, 9), reading(2, 10, 1), Reading(4, {})], "decode")
    assert (anew.decoded, anew.lag_mean, silent.decoded, silent.lag_mean) == (None,) * 4


def test_only_a_reading_that_tells_something_is_kept() -> None:
    before = [reading(10, 5)]
    assert is_new([], reading(0, 5))
    assert not is_new(before, reading(14, 5))
    assert not is_new(before, reading(12, 6))
    assert is_new(before, reading(14, 6))
    assert is_new(before, reading(18, 5))


def test_the_series_names_its_phases() -> None:
    with Series(lambda: {"decode.in": 1.0}) as series, series.phase("backlog"):
        pass
    course = series.course(index=True)
    assert [phase.name for phase in course.phases] == ["backlog"]
    assert course.lag_until == "acknowledged by the index"
