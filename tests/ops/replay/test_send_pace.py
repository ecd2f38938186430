"""When events are due, the cap, the histogram; the old options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectors.errors import UserError
from dev.pages import old_options_table
from pipeline.ops.replay import old_options
from pipeline.ops.replay.pace import Cap, Deviations, Pace

DOCS = Path(__file__).parents[3] / "docs"


def test_events_are_due_when_they_happened_only_faster() -> None:
    pace = Pace(10.0, 60.0)
    assert pace.due(np.array([5_000, 5_000, 7_000])).tolist() == [0.0, 0.0, 0.2]
    assert pace.due(np.array([8_000])).tolist() == pytest.approx([0.3])
    assert pace.due(np.array([], dtype=np.int64)).tolist() == []
    assert pace.last_due == pytest.approx(0.3)


def test_a_pause_is_cut_and_what_follows_keeps_its_distance() -> None:
    pace = Pace(1.0, 2.0)
    assert pace.due(np.array([0, 10_000, 11_000])).tolist() == [0.0, 2.0, 3.0]
    assert (pace.cut_waits, pace.cut_seconds) == (1, 8.0)


def test_without_a_pace_everything_is_due_at_once() -> None:
    assert Pace(None, 1.0).due(np.array([0, 10**12])).tolist() == [0.0, 0.0]


def test_the_cap_gives_room_as_time_passes() -> None:
    cap = Cap(100.0)
    assert cap.allowed(0.0) == 1
    cap.took(1)
    assert cap.allowed(0.0) == 0
    assert cap.wait() == pytest.approx(0.01)
    assert cap.allowed(0.03) == 3
    cap.took(3)
    assert cap.allowed(1_000.0) == 5, "what was not used is no burst"
    assert Cap(None).allowed(0.0) is None
    assert Cap(None).wait() == 0.0


def test_the_cap_holds_over_any_time() -> None:
    cap, taken = Cap(1_000.0), 0
    for now in np.arange(0, 2, 0.0013):
        allowed = cap.allowed(float(now))
        assert allowed is not None
        cap.took(allowed)
        taken += allowed
    assert 1_950 <= taken <= 2_000


def test_deviations_come_out_to_a_percent() -> None:
    deviations = Deviations()
    assert deviations.spread() is None
    late = np.random.default_rng(1).exponential(0.004, 100_000)
    for part in np.array_split(late, 7):
        deviations.add(part)
    spread = deviations.spread()
    assert spread is not None
    assert spread.p50 == pytest.approx(1000 * float(np.quantile(late, 0.5)), rel=0.02)
    assert spread.p99 == pytest.approx(1000 * float(np.quantile(late, 0.99)), rel=0.02)
    assert spread.max == pytest.approx(1000 * float(late.max()), abs=0.001)


def test_events_of_no_deviation_and_of_days() -> None:
    deviations = Deviations()
    deviations.add(np.array([0.0, 0.0, 1e6]))
    spread = deviations.spread()
    assert spread is not None
    assert (spread.p50, spread.max) == (0.01, 1e9)


@pytest.mark.parametrize(
    ("old", "ours"),
    [
        (["-streamName", "s", "-streamRegion", "r"], ["--stream", "s", "--region", "r"]),
        (["-streamArn", "arn:aws:x"], ["--stream", "arn:aws:x"]),
        (["-s=arn:aws:x"], ["--stream", "arn:aws:x"]),
        (["-objectPrefix", "p/q/", "-bucketName", "b"], ["s3://b/p/q/"]),
        (["-bucketRegion", "us-east-1"], ["--input-region", "us-east-1"]),
        (["-speedup", "6480", "-aggregate"], ["--speedup", "6480", "--aggregate"]),
        (["-timestampAttributeName", "a.b"], ["--timestamp-field", "a.b"]),
        (["-seek", "2018-01-01T00:00:00Z"], ["--from", "2018-01-01T00:00:00Z"]),
        (["-statisticsFrequency", "1500"], ["--statistics-seconds", "1.5"]),
        (["-noWatermark", "-noBackpressure"], ["--no-watermarks"]),
        (["-bufferSize", "7"], ["--reorder", "7"]),
        (["-readerBufferSize=7"], ["--reorder", "7"]),
        (["-maxOutstandingRecords", "1", "-kinesisProducerBuffer", "2"], []),
        (["-kinesisSenderThreads", "4", "--rate", "5"], ["--rate", "5"]),
        (["-help"], ["--help"]),
        (["data", "-c", "x.yaml", "--key=trip_id"], ["data", "-c", "x.yaml", "--key=trip_id"]),
    ],
)
def test_an_old_option_is_put_into_ours(old: list[str], ours: list[str]) -> None:
    options, notes = old_options.translate(old)
    assert options == ours
    names = [one.partition("=")[0] for one in old if one.startswith("-")]
    known = [name for name in names if name in {each.name for each in old_options.OLD}]
    assert [note.split()[0] for note in notes] == known


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (["-streamName"], "-streamName needs a value"),
        (["-bucketName", "b"], "-objectPrefix is missing beside -bucketName"),
        (["-objectPrefix", "p"], "-bucketName is missing beside -objectPrefix"),
        (["-statisticsFrequency", "often"], "give milliseconds"),
    ],
)
def test_an_old_option_that_is_wrong_is_refused(old: list[str], why: str) -> None:
    with pytest.raises(UserError, match=why):
        old_options.translate(old)


def test_a_loop_without_a_number_is_for_ever() -> None:
    assert old_options.with_loop_count(["--loop"]) == ["--loop", "0"]
    assert old_options.with_loop_count(["--loop", "3"]) == ["--loop", "3"]
    assert old_options.with_loop_count(["--loop", "data"]) == ["--loop", "0", "data"]


def test_every_option_of_the_original_is_known_and_the_page_has_the_table() -> None:
    names = (
        "-streamName -streamArn -streamRegion -bucketName -bucketRegion -objectPrefix -speedup"
        " -timestampAttributeName -seek -statisticsFrequency -aggregate -noWatermark"
        " -noBackpressure -bufferSize -readerBufferSize -maxOutstandingRecords"
        " -kinesisProducerBuffer -kinesisSenderThreads -help -s"
    )
    assert {each.name for each in old_options.OLD} == set(names.split())
    assert old_options_table() in (DOCS / "migration.md").read_text()
