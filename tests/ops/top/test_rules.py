"""What `top` makes of Flink's answers, which were recorded from jobs on the local servers.

They were jobs of 0.2: the metrics of `collect`, and of the sinks whose rows it counts since 0.3,
were put in place of those of archive and lake, with numbers that are made up. `first` and `second`
are two readings of one job, 1.4 s apart; `lost` is the same job after its TaskManager ended,
`restarted` another one just after a restart.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from connectors.flink.job_metrics import Reading, Stamp, name_lists, reading
from pipeline.ops.top.data import numbers, wanted
from pipeline.ops.top.files import Files, Made
from pipeline.ops.top.fit import fitted
from pipeline.ops.top.rates import Sample, rates
from pipeline.ops.top.view import Screen
from pipeline.terminal import width_of

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
MADE = Made(("archive", "lake"), {"archive": Files(10, 5_000), "lake": Files(247, 3_000_000)})


def read(name: str, /, **details: Any) -> Reading:
    """Return a recorded reading with other details."""
    answers = copy.deepcopy(RECORDED[name])
    answers["details"] |= details
    return reading(**answers)


def screen(name: str, /, before: str = "", made: Made = MADE, **details: Any) -> Screen:
    """Return the picture of a recorded reading with other details."""
    sample = Sample.of(read(name, **details))
    return Screen(sample, rates(Sample.of(read(before)) if before else None, sample), made)


def text(picture: Screen, width: int = 100) -> str:
    return "\n".join(picture.lines(width))


def test_every_step_has_its_numbers_in_the_order_of_the_flow() -> None:
    steps = screen("second", "first").report()["steps"]
    assert list(steps) == [
        *("records_kafka", "archive", "decode", "lake"),
        *("index", "replicate_mirror", "dead_letters"),
    ]
    assert steps["decode"] == {
        "in": 6825,
        "in_per_second": 1035.4,
        "out": 6755,
        "out_per_second": 1025.7,
        "rejected": 63,
        "rejected_per_second": 9.0,
    }
    assert steps["archive"] == {
        "in": 6826,
        "in_per_second": 1034.7,
        "out": 5460,
        "out_per_second": 1567.3,
        "files": 10,
        "file_bytes": 5_000,
    }
    assert steps["lake"]["in"] > steps["lake"]["out"] > steps["lake"]["files"] == 247
    assert "files" not in steps["dead_letters"]
    replica = steps["replicate_mirror"]
    assert replica["in"] == replica["out"] + replica["rejected"] == steps["decode"]["out"]
    assert steps["dead_letters"]["in"] == replica["rejected"] + steps["decode"]["rejected"]


def test_rejects_are_told_by_reason_and_add_up() -> None:
    report = screen("second", "first").report()
    of_decode = [each for each in report["rejects"] if each["step"] == "decode"]
    assert sum(each["number"] for each in of_decode) == 63
    assert report["rejects"][0] == {
        "step": "replicate_mirror",
        "reason": "replica_too_large",
        "number": 4725,
        "per_second": 719.8,
    }


def test_lag_and_latency_are_those_of_the_time_between_two_readings() -> None:
    report = screen("second", "first").report()
    assert report["rates_over_seconds"] == 1.442
    assert report["lag_ms"]["decode"] == {"mean": 7580, "p50": 7644, "p99": 29422, "max": 30000}
    assert report["index"] == {
        "request_ms": 724.5,
        "requests": 50,
        "retries": 0,
        "retries_per_second": 0.0,
    }
    assert report["behind"] == {"records_kafka": {"number": 669, "unit": "records"}}


def test_one_reading_alone_has_flinks_means_and_does_not_invent_the_rest() -> None:
    report = screen("second").report()
    decode = report["steps"]["decode"]
    assert report["rates_over_seconds"] == 60
    assert decode["in_per_second"] > 0
    assert decode["out_per_second"] is decode["rejected_per_second"] is None
    assert "Flink's means over the last minute" in text(screen("second"))


def test_readings_across_a_restart_have_no_rates_between_them() -> None:
    first, later = Sample.of(read("first")), Sample.of(read("second"))
    assert later.follows(first)
    answers = copy.deepcopy(RECORDED["second"])
    answers["details"]["vertices"][0]["start-time"] += 5_000
    assert not Sample.of(reading(**answers)).follows(first)
    assert not first.follows(later)
    assert not first.follows(first)


@pytest.mark.parametrize("name", ["starting", "lost"])
def test_a_job_whose_tasks_do_not_run_has_words_and_no_numbers(name: str) -> None:
    picture = screen(name)
    shown = text(picture)
    assert "0 of 14 tasks run" in shown
    assert ("14 wait for a slot" in shown) == (name == "lost")
    assert picture.report()["steps"] == {}
    assert picture.report()["rates_over_seconds"] is None
    assert "in/s" not in shown


def test_a_restart_is_told_with_its_cause_and_the_checkpoint_that_failed() -> None:
    report = screen("lost").report()
    assert report["restarts"] == 1
    assert report["cause"].endswith("The TaskExecutor is shutting down.")
    assert report["checkpoint_failed"] == "Checkpoint Coordinator is suspending."
    assert report["checkpoint"]["number"] == 9
    assert "checkpoint: 9 completed" in text(screen("lost"))


def test_counters_of_before_a_restart_are_unknown() -> None:
    steps = screen("restarted").report()["steps"]
    assert steps["decode"]["in"] is steps["decode"]["rejected"] is None
    assert steps["archive"]["in"] is steps["lake"]["in"] is None
    assert steps["dead_letters"]["in"] == 150
    assert screen("restarted").report()["restarts"] is None
    assert "restarts: ?;" in text(screen("restarted"))


def test_a_source_on_kinesis_is_behind_by_time() -> None:
    behind = screen("restarted").report()["behind"]
    assert behind["records_cap-trips"] == {"number": 0, "unit": "ms"}


@pytest.mark.parametrize(
    ("state", "code"), [("FINISHED", 0), ("CANCELED", 0), ("FAILED", 1), ("RESTARTING", 0)]
)
def test_the_end_of_a_job_is_told_and_gives_the_exit_code(state: str, code: int) -> None:
    timestamps = {"RUNNING": 1_795_952_039_000, state: 1_795_952_168_000}
    picture = screen("lost", state=state, timestamps=timestamps)
    told = text(picture).splitlines()[0]
    assert picture.exit_code == code
    if state == "RESTARTING":
        assert "RESTARTING for" in told
    else:
        assert f"{state} at 2026-11-29T11:36:08Z" in told


def test_nothing_from_outside_reaches_the_terminal_as_a_command() -> None:
    answers = copy.deepcopy(RECORDED["second"])
    answers["details"] |= {"name": "\x1b[2Jtrips", "jid": "\x1b[3J"}
    reject = "decode.kinesisanalytics.step.decode.rejected_\x1b[4J"
    answers["metrics"].append([{"id": reject, "sum": 1, "max": 1}])
    sample = Sample.of(reading(**answers))
    shown = text(Screen(sample, rates(None, sample), Made(problem="\x9bno")))
    for escaped in ("\\x1b[2Jtrips", "(\\x1b[3J)", "decode \\x1b[4J", "\\x9bno"):
        assert escaped in shown
    assert all(line.isprintable() for line in shown.split("\n"))
    state = text(screen("lost", state="\x1b[5J"))
    assert "\\x1b[5J for" in state and all(line.isprintable() for line in state.split("\n"))


def test_lines_fit_a_narrow_terminal() -> None:
    wide, narrow = screen("second", "first"), screen("second", "first")
    assert max(map(len, text(wide, 100).splitlines())) <= 100
    table = text(narrow, 40).partition("lag:")[0].splitlines()[3:]
    assert max(map(len, table)) <= 40
    assert "  rejected/s  720" in table


@pytest.mark.parametrize("height", [8, 12, 24, 30, 42, 43])
@pytest.mark.parametrize("width", [30, 60, 70, 80, 200])
def test_a_picture_fits_the_terminal_and_says_what_it_leaves_out(width: int, height: int) -> None:
    picture = screen("second", "first")
    lines = fitted(picture, width, height)
    assert len(lines) <= height
    assert max(map(width_of, lines)) <= width
    shown = "".join(lines)
    assert "live  RUNNING" in shown and "checkpoint: 8" in shown
    whole = list(picture.lines(width))
    if len(whole) <= height and max(map(width_of, whole)) <= width:
        assert lines == whole
    else:
        assert "…" in shown
    if width >= 60 and height >= 12:
        assert "lag: records_kafka is 669 records behind" in shown
        assert any(line.startswith("rates: ") for line in lines)


def test_of_many_reasons_the_most_frequent_are_shown() -> None:
    lines = fitted(screen("second", "first"), 80, 30)
    assert any(line.startswith("replicate_mirror replica_too_large   4,725") for line in lines)
    assert lines[-1] == "… and 12 other reasons: enlarge the terminal, or --once"
    narrow = fitted(screen("second", "first"), 72, 30)
    assert "… without files: enlarge the terminal, or --once" in narrow


def test_a_long_cause_takes_two_lines_and_is_cut() -> None:
    answers = copy.deepcopy(RECORDED["second"])
    sample = Sample.of(replace(reading(**answers), restarts=3, cause="界" * 500))
    lines = fitted(Screen(sample, rates(None, sample), MADE), 80, 24)
    assert len(lines) <= 24
    assert lines[1].startswith("restarts: 3; last cause: 界")
    assert lines[2].endswith("界…")
    assert lines[3].startswith("checkpoint: ")
    assert max(map(width_of, lines)) <= 80


def test_files_that_are_not_known_are_not_zero() -> None:
    picture = screen("second", "first", made=Made(problem="not counted yet"))
    assert "files" not in picture.report()["steps"]["archive"]
    assert picture.report()["files_unknown"] == "not counted yet"
    assert "files: ? (not counted yet)" in text(picture)


def test_only_the_metrics_of_steps_are_asked_for() -> None:
    assert wanted("Source__records_kafka.pendingRecords")
    assert wanted("replicate_airport_2__Writer.numRecordsSend")
    assert wanted("decode.kinesisanalytics.step.decode.in")
    assert not wanted("numRecordsIn")
    for operator in ("lake-file", "archive-end__Writer", "replicate_airport__Committer"):
        assert not wanted(f"{operator}.numRecordsIn")
    assert not wanted("Source__records_kafka.KafkaSourceReader.KafkaConsumer.fetch-rate")


def test_steps_of_one_kind_are_added_up() -> None:
    answers = copy.deepcopy(RECORDED["second"])
    name = "kinesisanalytics.step.claim_check.large"
    answers["metrics"] = [
        [{"id": f"claim_check_{sink}.{name}", "sum": 2, "max": 1}]
        for sink in ("archive", "dead_letters")
    ]
    assert numbers(reading(**answers)).counters == {"claim_check.large": 4}


def test_requests_are_no_longer_than_flink_takes() -> None:
    names = [f"{number:03} {'x' * 60}" for number in range(200)]
    lists = list(name_lists(names))
    assert max(map(len, lists)) <= 3_100
    assert [name for each in lists for name in unquote(each).split(",")] == names
    assert list(name_lists([])) == []


def test_a_number_that_flink_does_not_have_is_left_out() -> None:
    answers = copy.deepcopy(RECORDED["second"])
    answers["metrics"] = [[{"id": "archive.numRecordsIn", "sum": "NaN", "max": "NaN"}]]
    assert reading(**answers).metrics == {}


def test_newer_metrics_are_newer_in_every_process() -> None:
    old = Stamp(1.0, 1.0)
    assert Stamp(2.0, 2.0).follows(old)
    assert not Stamp(2.0, 1.0).follows(old)
    assert not Stamp(2.0, None).follows(old)
